// Positions of a driver on their way to the engine: gathered, sent at most once a second, kept
// until they were acknowledged, and thinned out where too many wait. The newest always survives.

import type { Point } from './schema.js';
import { Alarm, type Clock } from './time.js';

/** A position as a phone tells it. */
export interface Fix {
  readonly lat: number;
  readonly lng: number;
  /** Milliseconds since 1970; now where it is left out. */
  readonly at?: number;
  readonly accuracy_m?: number | null;
  readonly speed_mps?: number | null;
  readonly bearing_deg?: number | null;
}

/** Takes a batch to the engine; false where it cannot now. */
export type TelemetryCarrier = (n: number, pts: Point[]) => boolean;

/** Points that wait or are out; also the most that one frame may hold. */
const POINTS_MAX = 100;
/** The engine dates older points by their arrival, which would put the car where it is not. */
const OLD_MS = 110_000;
/** What the engine admits in the long run. */
const EVERY_MS_MIN = 1_000;

/** Batches positions. */
export class Telemetry {
  #waiting: Point[] = [];
  #out: { n: number; pts: Point[] }[] = [];
  #n = 0;
  #carrier: TelemetryCarrier | null = null;
  #notBefore = 0;
  readonly #everyMs: number;
  readonly #alarm: Alarm;

  constructor(
    private readonly clock: Clock,
    everyMs: number,
  ) {
    this.#everyMs = Math.max(EVERY_MS_MIN, everyMs);
    this.#alarm = new Alarm(clock, () => this.flush());
  }

  /** Positions that were not acknowledged yet. */
  get unacknowledged(): number {
    return this.#waiting.length + this.#out.reduce((sum, batch) => sum + batch.pts.length, 0);
  }

  /** Takes a position; one that is none is passed over. */
  add(fix: Fix): void {
    const point = pointOf(fix, this.clock.now());
    if (!point) return;
    this.#waiting = thinned([...this.#waiting, point]);
    this.arm();
  }

  attach(carrier: TelemetryCarrier): void {
    this.detach();
    this.#carrier = carrier;
    this.arm();
  }

  /** The way is gone: what was out waits again. */
  detach(): void {
    this.#carrier = null;
    this.#alarm.clear();
    this.takeBack();
  }

  /** The engine has this batch and all before it. */
  acknowledged(n: number): void {
    this.#out = this.#out.filter((batch) => batch.n > n);
  }

  /** The engine wants fewer. */
  slowDown(forMs: number): void {
    this.#notBefore = this.clock.now() + forMs;
    this.takeBack();
    this.#alarm.clear();
    this.arm();
  }

  private takeBack(): void {
    this.#waiting = thinned([...this.#out.flatMap((batch) => batch.pts), ...this.#waiting]);
    this.#out = [];
  }

  private arm(): void {
    if (!this.#carrier || this.#alarm.isSet || this.#waiting.length === 0) return;
    this.#alarm.set(Math.max(0, this.#notBefore - this.clock.now()));
  }

  private flush(): void {
    const now = this.clock.now();
    const newest = this.#waiting.at(-1);
    const fresh = (point: Point) => point === newest || now - (point[0] ?? 0) < OLD_MS;
    const pts = this.#waiting.filter(fresh);
    if (!this.#carrier || pts.length === 0) return;
    this.#notBefore = now + this.#everyMs;
    if (this.#carrier(this.#n + 1, pts)) {
      this.#n += 1;
      this.#waiting = [];
      this.#out.push({ n: this.#n, pts });
      while (this.#out.length > 1 && this.unacknowledged > POINTS_MAX) this.#out.shift();
    }
    this.arm();
  }
}

/** At most a frame's worth: every second point goes, the newest stays. */
function thinned(points: Point[]): Point[] {
  if (points.length <= POINTS_MAX) return points;
  const last = points.length - 1;
  return points.filter((_, at) => (last - at) % 2 === 0);
}

function pointOf(fix: Fix, now: number): Point | null {
  const within = (value: number, most: number) => Math.abs(value) <= most;
  if (!within(fix.lat, 90) || !within(fix.lng, 180)) return null;
  const at = Math.round(fix.at ?? now);
  if (!(at >= 0 && at <= 253_402_300_799_999)) return null;
  const known = (value: number | null | undefined, most: number) =>
    typeof value === 'number' && value >= 0 && value <= most ? round(value, 10) : -1;
  return [
    at, round(fix.lat, 1e6), round(fix.lng, 1e6),
    known(fix.accuracy_m, 1_000_000), known(fix.speed_mps, 1_000), known(fix.bearing_deg, 360),
  ];
}

const round = (value: number, parts: number) => Math.round(value * parts) / parts;
