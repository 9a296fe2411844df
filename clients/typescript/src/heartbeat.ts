// Signs of life, both ways: some frame goes out before the engine would call this client silent,
// and an engine that answers no ping is dead although its socket looks alive.

import type { Heartbeat as Profile } from './schema.js';
import { Alarm, type Clock } from './time.js';

/** The part of the allowed silence after which a ping is sent: the rest is for the way. */
const EARLY = 0.9;

/** What a heartbeat asks for. */
export interface HeartbeatHost {
  ping(): void;
  dead(): void;
}

/** The heartbeat of one session. */
export class Heartbeat {
  readonly #alarm: Alarm;
  #active = false;
  #sentAt: number;
  #heardAt: number;
  /** When the ping was sent that nothing was heard since. */
  #askedAt: number | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly profile: Profile,
    private readonly host: HeartbeatHost,
  ) {
    this.#alarm = new Alarm(clock, () => this.tick());
    this.#sentAt = this.#heardAt = clock.now();
    this.arm();
  }

  /** Whether an offer or a ride is open. */
  set active(active: boolean) {
    if (active === this.#active) return;
    this.#active = active;
    this.arm();
  }

  sent(): void {
    this.#sentAt = this.clock.now();
  }

  heard(): void {
    this.#heardAt = this.clock.now();
    this.#askedAt = null;
  }

  /** Asks now whether the engine is there. */
  probe(): void {
    if (this.#askedAt !== null) return;
    this.#askedAt = this.clock.now();
    this.host.ping();
    this.arm();
  }

  stop(): void {
    this.#alarm.clear();
  }

  private get silence(): number {
    return EARLY * (this.#active ? this.profile.active_ms : this.profile.idle_ms);
  }

  private get grace(): number {
    return this.#active ? this.profile.active_grace_ms : this.profile.grace_ms;
  }

  private get dueAt(): number {
    if (this.#askedAt !== null) return this.#askedAt + this.grace;
    return Math.min(this.#sentAt, this.#heardAt) + this.silence;
  }

  private arm(): void {
    this.#alarm.set(Math.max(0, this.dueAt - this.clock.now()));
  }

  // Frames move only the times; the alarm is put off when it rings.
  private tick(): void {
    if (this.clock.now() < this.dueAt) return this.arm();
    if (this.#askedAt !== null) return this.host.dead();
    return this.probe();
  }
}
