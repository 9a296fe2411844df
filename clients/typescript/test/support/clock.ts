// A clock that tests move.

import type { Clock } from '../../src/time.js';

interface Timer {
  readonly at: number;
  readonly fn: () => void;
}

/** Stands still until it is moved. */
export class FakeClock implements Clock {
  /** What `random` gives. */
  chance = 0.5;
  #now = Date.parse('2026-11-22T01:26:03Z');
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Milliseconds until the next timer rings. */
  get next(): number {
    return Math.min(...[...this.#timers].map((timer) => timer.at)) - this.#now;
  }

  /** Moves on; timers ring at their time and in their order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= end);
      const first = due.sort((a, b) => a.at - b.at)[0];
      if (!first) break;
      this.#timers.delete(first);
      this.#now = Math.max(this.#now, first.at);
      first.fn();
    }
    this.#now = end;
  }
}
