// Time and chance. Everything that waits or throws dice gets them from here, so that tests can
// move the one and load the other.

/** A clock, its timers, and chance. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** From 0 to below 1. */
  random(): number;
  /** Calls `fn` once after `ms`; the answer takes that back. */
  after(ms: number, fn: () => void): () => void;
}

/** The longest that a timer of browsers and Node can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), LONGEST_MS));
    return () => clearTimeout(timer);
  },
};

/** One timer that can be set anew. */
export class Alarm {
  #cancel: (() => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly ring: () => void,
  ) {}

  get isSet(): boolean {
    return this.#cancel !== null;
  }

  /** Rings after `ms`, and not at the time that was set before. */
  set(ms: number): void {
    this.clear();
    this.#cancel = this.clock.after(ms, () => {
      this.#cancel = null;
      this.ring();
    });
  }

  clear(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
