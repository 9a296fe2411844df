// Commands that have no final answer yet. Each keeps the id it was given once, goes out again after
// every loss of the connection, and ends with `res`, with a refusal that is final, or with its
// time. Of commands about the same thing one is out at a time, so that a retry is never overtaken
// by what was asked for after it.

import { Expired, QueueFull, Refused, Stopped, type StopReason } from './errors.js';
import type { FieldError } from './schema.js';
import type { CommandStorage, StoredCommand } from './storage.js';
import { Alarm, type Clock } from './time.js';

/** The engine's answer to a command. */
export type Outcome =
  | { readonly ok: true; readonly ver: number; readonly d: unknown }
  | {
      readonly ok: false;
      readonly code: string;
      readonly retry: boolean;
      readonly retryMs?: number;
      readonly errors?: readonly FieldError[];
    };

/** Takes commands to the engine; the outcome comes back through `settle`. */
export interface Carrier {
  carry(command: StoredCommand): void;
}

/** What the engine admits of one session. */
export interface Pace {
  readonly frame: number;
  readonly rate: number;
  readonly burst: number;
}

export interface QueueOptions {
  readonly clock: Clock;
  readonly limit: number;
  readonly storage: CommandStorage | undefined;
  /** The final outcome of a command, its promise aside; `expired` is this queue's own code. */
  readonly settled: (command: StoredCommand, outcome: Outcome) => void;
  /** Storage failed: commands go on without it. */
  readonly failed: (error: unknown) => void;
}

interface Entry {
  command: StoredCommand;
  readonly resolve: (d: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Not on disk yet. */
  held: boolean;
  out: boolean;
  tries: number;
  /** Not sent before this. */
  notBefore: number;
  /** While out: when the answer is given up and asked for again. */
  answerBy: number;
}

/** Longer than the engine lets any command take. */
const ANSWER_MS = 15_000;
/** When to look again whether the engine's bucket has a token. */
const REFILL_MS = 50;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** Refusals that rest on nothing recorded: the same id may succeed later. */
const AGAIN: readonly string[] = [
  'overloaded', 'unavailable', 'rate_limited', 'not_owner', 'idempotency_in_progress', 'internal',
  'request_timeout',
];

/** A bounded queue of commands. */
export class CommandQueue {
  #entries: Entry[] = [];
  #carrier: Carrier | null = null;
  #pace: Pace | null = null;
  #tokens = 0;
  #filledAt = 0;
  #saved: Promise<void> = Promise.resolve();
  #stopped: StopReason | null = null;
  readonly #alarm: Alarm;

  constructor(private readonly options: QueueOptions) {
    this.#alarm = new Alarm(options.clock, () => this.flush());
  }

  get pending(): StoredCommand[] {
    return this.#entries.map((entry) => entry.command);
  }

  /** Takes up what an earlier life of the program left behind, in front of everything newer. */
  async restore(): Promise<void> {
    const { storage, failed } = this.options;
    this.#stopped = null;
    if (!storage) return;
    try {
      const kept = await storage.load();
      const known = new Set(this.#entries.map((entry) => entry.command.id));
      const ignore = () => {};
      const entries = kept
        .filter((command) => !known.has(command.id))
        .map((command) => entry(command, ignore, ignore));
      this.#entries = [...entries, ...this.#entries];
    } catch (error) {
      failed(error);
    }
    this.flush();
  }

  /** Puts a command in. Its promise resolves with `res.d`. */
  add(command: StoredCommand): Promise<unknown> {
    if (this.#stopped) {
      return Promise.reject(new Stopped(command.op, command.id, false, this.#stopped));
    }
    if (this.#entries.length >= this.options.limit) {
      return Promise.reject(new QueueFull(this.options.limit));
    }
    return new Promise<unknown>((resolve, reject) => {
      const added = entry(command, resolve, reject);
      this.#entries.push(added);
      // On disk before on the wire: a reload in between must not lose what may take effect.
      added.held = this.save();
      if (!added.held) return this.flush();
      return void this.#saved.then(() => {
        added.held = false;
        this.flush();
      });
    });
  }

  /** There is a way to the engine. `pace`: what it admits; `null` where the carrier sees to it. */
  attach(carrier: Carrier, pace: Pace | null): void {
    this.detach();
    this.#carrier = carrier;
    this.#pace = pace;
    this.#tokens = pace?.burst ?? 0;
    this.#filledAt = this.options.clock.now();
    this.flush();
  }

  /** The way is gone: what was out goes out again on the next one. */
  detach(): void {
    this.#carrier = null;
    for (const entry of this.#entries) {
      entry.out = false;
      entry.notBefore = 0;
    }
    this.arm();
  }

  /** The answer to `id`, from wherever. */
  settle(id: string, outcome: Outcome): void {
    const found = this.#entries.find((entry) => entry.command.id === id);
    if (!found) return;
    if (!outcome.ok && (outcome.retry || AGAIN.includes(outcome.code))) {
      this.again(found, outcome.retryMs ?? RETRY_MS);
    } else {
      this.remove(found);
      const { op } = found.command;
      if (outcome.ok) found.resolve(outcome.d);
      else found.reject(new Refused(outcome.code, op, id, outcome.errors));
      this.options.settled(found.command, outcome);
    }
    this.flush();
  }

  /** An answer that names no command refuses one as malformed: if only one is out, it is that. */
  settleTheOnlyOne(code: string): boolean {
    const out = this.#entries.filter((entry) => entry.out);
    if (out.length !== 1) return false;
    this.settle(out[0]!.command.id, { ok: false, code, retry: false });
    return true;
  }

  /** The client stops: nothing is sent any more, and what is rejected is forgotten. */
  stop(reason: StopReason): void {
    this.#carrier = null;
    this.#stopped = reason;
    this.#alarm.clear();
    const left = this.#entries;
    this.#entries = [];
    if (left.length > 0) this.save();
    for (const { command, reject } of left) {
      reject(new Stopped(command.op, command.id, command.sent, reason));
    }
  }

  private again(entry: Entry, retryMs: number): void {
    const { clock } = this.options;
    const pause = Math.max(retryMs, Math.min(RETRY_MS_MAX, 100 * 2 ** entry.tries));
    entry.out = false;
    entry.tries += 1;
    entry.notBefore = clock.now() + pause * (1 + 0.25 * clock.random());
  }

  private flush(): void {
    const now = this.options.clock.now();
    for (const entry of [...this.#entries]) this.expire(entry, now);
    const busy = new Set<string>();
    let first = false;
    for (const entry of this.#entries) {
      const lane = laneOf(entry.command);
      if (busy.has(lane)) continue;
      busy.add(lane);
      if (entry.out && now >= entry.answerBy) entry.out = false;
      if (!this.#carrier || entry.held || entry.out || now < entry.notBefore) continue;
      if (!this.admit(now)) continue;
      entry.out = true;
      entry.answerBy = now + ANSWER_MS;
      first ||= !entry.command.sent;
      entry.command = { ...entry.command, sent: true };
      this.#carrier.carry(entry.command);
    }
    if (first) this.save();
    this.arm();
  }

  private expire(entry: Entry, now: number): void {
    const { op, id, at, ttlMs, sent } = entry.command;
    if (now < at + ttlMs) return;
    this.remove(entry);
    entry.reject(new Expired(op, id, sent));
    this.options.settled(entry.command, { ok: false, code: 'expired', retry: false });
  }

  /** Takes a token of the engine's bucket, if there is one. */
  private admit(now: number): boolean {
    if (!this.#pace) return true;
    const { rate, burst } = this.#pace;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) * rate) / 1000);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Rings when the next thing is due. */
  private arm(): void {
    const now = this.options.clock.now();
    let due = Infinity;
    const busy = new Set<string>();
    for (const { command, held, out, notBefore, answerBy } of this.#entries) {
      due = Math.min(due, command.at + command.ttlMs);
      const lane = laneOf(command);
      if (this.#carrier && !held && !busy.has(lane)) {
        due = Math.min(due, out ? answerBy : Math.max(notBefore, now + REFILL_MS));
      }
      busy.add(lane);
    }
    if (due === Infinity) this.#alarm.clear();
    else this.#alarm.set(Math.max(0, due - now));
  }

  private remove(entry: Entry): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.save();
  }

  /** False where nothing is kept. */
  private save(): boolean {
    const { storage, failed } = this.options;
    if (!storage) return false;
    const lasting = this.pending.filter((command) => command.op !== 'ride.estimate');
    this.#saved = this.#saved.then(() => storage.save(lasting)).catch(failed);
    return true;
  }
}

function entry(command: StoredCommand, resolve: Entry['resolve'], reject: Entry['reject']): Entry {
  return { command, resolve, reject, held: false, out: false, tries: 0, notBefore: 0, answerBy: 0 };
}

/** Commands of one lane are about the same thing. */
function laneOf({ op, key }: StoredCommand): string {
  if (op.startsWith('driver.')) return 'driver';
  return key ?? op;
}
