// What comes in, in order: snapshots, events after them, each once. Both ways to the engine,
// sessions and long polls, deliver here.

import { Activity } from './activity.js';
import { Position, type Taken } from './position.js';
import type { Evt, Snapshot, StreamAnswer, Welcome, Sync } from './schema.js';

/** What an inbox tells. */
export interface InboxHost {
  snapshot(snapshot: Snapshot): void;
  event(event: Evt): void;
}

/** The stream of one person. */
export class Inbox {
  readonly position = new Position();
  readonly activity = new Activity();
  /** Gaps since an event was last taken. */
  #gaps = 0;

  constructor(private readonly host: InboxHost) {}

  /** A session begins. */
  welcome({ stream, snapshot }: Welcome): void {
    const { cursor } = this.position;
    this.position.name(stream.id);
    this.activity.snapshot(snapshot);
    // Recovered: what was missed follows as events, and the app's own state goes on.
    if (stream.recovered && cursor?.epoch === stream.epoch) return;
    this.position.begin(stream.epoch, stream.seq);
    this.host.snapshot(snapshot);
  }

  /** An event, which is told if it is the next one. After a gap the connection must begin anew. */
  take(event: Evt): Taken {
    const taken = this.position.take(event.seq);
    if (taken === 'new') {
      this.#gaps = 0;
      this.activity.event(event);
      this.host.event(event);
    } else if (taken === 'gap') {
      this.#gaps += 1;
      // The engine did not fill it when it was asked to: only a snapshot helps.
      if (this.#gaps > 1) this.position.forget();
    }
    return taken;
  }

  /** The engine found a gap: what comes next follows this snapshot. */
  sync({ stream, snapshot }: Sync): void {
    const { cursor } = this.position;
    if (stream) this.position.begin(stream.epoch, stream.seq);
    else if (cursor) this.position.begin(cursor.epoch, null);
    this.activity.snapshot(snapshot);
    this.host.snapshot(snapshot);
  }

  /** A long poll was answered. */
  polled({ epoch, seq, recovered, events, snapshot }: StreamAnswer): void {
    if (!recovered || this.position.cursor?.epoch !== epoch) {
      const first = events[0]?.seq;
      this.position.begin(epoch, first === undefined ? (seq ?? null) : first - 1);
      if (snapshot) {
        this.activity.snapshot(snapshot);
        this.host.snapshot(snapshot);
      }
    }
    for (const event of events) {
      if (this.take(event) === 'gap') return;
    }
  }
}
