// Whether an offer or a ride is open, which decides how soon the loss of a connection must be
// seen. Kept by the same rules as in the engine.

import type { Evt, Ride, Snapshot } from './schema.js';

export type Role = 'driver' | 'passenger';

const ENDED: readonly string[] = ['completed', 'canceled', 'no_driver'];
const WITH_DRIVER: readonly string[] = ['accepted', 'arriving', 'arrived', 'started'];

/** What a person has open. */
export class Activity {
  #role: Role | null = null;
  readonly #offers = new Set<string>();
  // A driver may have a second one, chained to the first.
  readonly #rides = new Set<string>();

  /** Known from the first snapshot on. */
  get role(): Role | null {
    return this.#role;
  }

  get isActive(): boolean {
    return this.#rides.size > 0 || this.#offers.size > 0;
  }

  /** Begins anew. */
  snapshot(snapshot: Snapshot): void {
    this.#offers.clear();
    this.#rides.clear();
    this.#role = 'driver' in snapshot ? 'driver' : 'passenger';
    if ('offers' in snapshot) for (const offer of snapshot.offers) this.#offers.add(offer.ride_id);
    if (snapshot.ride) this.ride(snapshot.ride);
    if ('next_ride' in snapshot && snapshot.next_ride) this.ride(snapshot.next_ride);
  }

  event(event: Evt): void {
    if (event.op === 'offer.made') this.#offers.add(event.key);
    else if (event.op === 'offer.withdrawn') this.#offers.delete(event.key);
    else if (event.op === 'ride.updated') this.ride(event.d.ride);
  }

  /** The final answer to a command; `d` where it went well. */
  answered(op: string, key: string | undefined, d: unknown): void {
    const ofOffer = op === 'ride.accept' || op === 'ride.decline';
    if (key !== undefined && ofOffer) this.#offers.delete(key);
    if (isRide(d)) this.ride(d);
  }

  private ride(ride: Pick<Ride, 'id' | 'status'>): void {
    this.#offers.delete(ride.id);
    const open =
      this.#role === 'driver' ? WITH_DRIVER.includes(ride.status) : !ENDED.includes(ride.status);
    if (open) this.#rides.add(ride.id);
    else this.#rides.delete(ride.id);
  }
}

function isRide(d: unknown): d is Ride {
  return typeof d === 'object' && d !== null && 'pickup' in d && 'status' in d && 'id' in d;
}
