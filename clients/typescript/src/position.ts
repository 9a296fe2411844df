// Where in the stream of events this client is. What is told once is not told twice, and nothing
// is left out.

import type { Resume } from './schema.js';

/** What an event is to one who stands here. */
export type Taken = 'new' | 'duplicate' | 'gap';

/** A place in a stream. */
export class Position {
  #stream: string | null = null;
  #epoch: string | null = null;
  /** `null`: whatever comes next is taken, for a snapshot of unknown place was just taken. */
  #seq: number | null = null;

  /** What a `hello` says of it; `undefined` where nothing can be resumed. */
  get resume(): Resume | undefined {
    if (this.#stream === null || this.#epoch === null || this.#seq === null) return undefined;
    return { stream: this.#stream, epoch: this.#epoch, seq: this.#seq };
  }

  /** What a long poll says of it. */
  get cursor(): { epoch: string; seq: number } | undefined {
    if (this.#epoch === null || this.#seq === null) return undefined;
    return { epoch: this.#epoch, seq: this.#seq };
  }

  get seq(): number | null {
    return this.#seq;
  }

  /** Takes note of the stream's name, which long polls do not tell. */
  name(stream: string): void {
    this.#stream = stream;
  }

  /** Begins at `seq`; `null`: at whatever comes next. */
  begin(epoch: string, seq: number | null): void {
    this.#epoch = epoch;
    this.#seq = seq;
  }

  /** Forgets the place: the next connection begins with a snapshot. */
  forget(): void {
    this.#epoch = null;
    this.#seq = null;
  }

  /** Takes the event `seq` if it is the next one. */
  take(seq: number): Taken {
    if (this.#seq !== null && seq <= this.#seq) return 'duplicate';
    if (this.#seq !== null && seq > this.#seq + 1) return 'gap';
    this.#seq = seq;
    return 'new';
  }
}
