// The long-poll fallback: `GET /v1/stream` again and again, the same events as over a session.

import { CLOSE, afterClose } from './backoff.js';
import { SignedOut } from './errors.js';
import type { Position } from './position.js';
import type { Answer, Rest } from './rest.js';
import type { StreamAnswer } from './schema.js';
import { Alarm, type Clock } from './time.js';

/** What a poller tells. */
export interface PollerHost {
  /** An answer came; events are to be taken in order. */
  polled(answer: StreamAnswer): void;
  /** The engine cannot be reached this way just now. */
  lost(): void;
  /** The engine has no long polls: none will be made again. */
  unsupported(): void;
  /** The person may not, or is signed out. */
  refused(code: number): void;
}

const WAIT_S = 25;
/** What the network may take on top of that. */
const PATIENCE_MS = 10_000;
/** Between two polls that bring a snapshot each: such an engine does not say where it stands. */
const SNAPSHOT_EVERY_MS = 2_000;

/** Polls from `start` until `stop`. */
export class Poller {
  readonly #pause: Alarm;
  readonly #patience: Alarm;
  #abort: AbortController | null = null;
  #failures = 0;

  constructor(
    private readonly clock: Clock,
    private readonly rest: Rest,
    private readonly position: Position,
    private readonly host: PollerHost,
  ) {
    this.#pause = new Alarm(clock, () => void this.poll(WAIT_S));
    this.#patience = new Alarm(clock, () => this.#abort?.abort());
  }

  get isRunning(): boolean {
    return this.#abort !== null || this.#pause.isSet;
  }

  start(): void {
    if (this.isRunning) return;
    this.#failures = 0;
    void this.poll(0);
  }

  stop(): void {
    this.#pause.clear();
    this.#patience.clear();
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
  }

  private async poll(waitS: number): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#patience.set(waitS * 1000 + PATIENCE_MS);
    let pauseMs: number;
    try {
      const answer = await this.rest.call('GET', this.path(waitS), { signal: abort.signal });
      if (this.#abort !== abort) return;
      pauseMs = this.heard(answer);
    } catch (error) {
      if (this.#abort !== abort) return;
      if (error instanceof SignedOut) return this.host.refused(CLOSE.credentials);
      pauseMs = this.failed();
    }
    // The host may have stopped this meanwhile.
    if (this.#abort !== abort) return;
    this.#patience.clear();
    this.#pause.set(pauseMs);
    this.#abort = null;
  }

  private path(waitS: number): string {
    const { cursor } = this.position;
    const from = cursor ? `epoch=${encodeURIComponent(cursor.epoch)}&seq=${cursor.seq}&` : '';
    return `/v1/stream?${from}wait=${waitS}`;
  }

  /** Takes an answer; how long to wait before the next poll. */
  private heard({ status, body, retryMs }: Answer): number {
    if (status === 200) {
      this.#failures = 0;
      this.host.polled(body as StreamAnswer);
      return this.position.cursor ? 0 : SNAPSHOT_EVERY_MS;
    }
    if (status === 404) this.host.unsupported();
    else if (status === 401) this.host.refused(CLOSE.credentials);
    else if (status === 403) this.host.refused(CLOSE.forbidden);
    else return Math.max(retryMs ?? 0, this.failed());
    return 0;
  }

  private failed(): number {
    this.host.lost();
    const verdict = afterClose(CLOSE.broken, this.#failures, () => this.clock.random());
    this.#failures += 1;
    return verdict.kind === 'again' ? verdict.inMs : 0;
  }
}
