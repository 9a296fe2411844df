// Acknowledgements: cumulative; at once for what is urgent, else gathered for five seconds.

import { Alarm, type Clock } from './time.js';

/** Events that are not urgent are acknowledged at most this often. */
const EVERY_MS = 5_000;

/** Acknowledges what was taken. */
export class Acks {
  #newest = 0;
  readonly #alarm: Alarm;

  constructor(
    clock: Clock,
    private readonly send: (seq: number) => void,
  ) {
    this.#alarm = new Alarm(clock, () => this.send(this.#newest));
  }

  /** The event `seq`, and all before it, were taken. */
  taken(seq: number, urgent: boolean): void {
    this.#newest = Math.max(this.#newest, seq);
    if (urgent) {
      this.#alarm.clear();
      this.send(this.#newest);
    } else if (!this.#alarm.isSet) {
      this.#alarm.set(EVERY_MS);
    }
  }

  /** Another connection: it says itself what was taken. */
  reset(seq: number): void {
    this.#newest = seq;
    this.#alarm.clear();
  }
}
