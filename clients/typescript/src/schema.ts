// Made from docs/asyncapi.json by scripts/schema.mjs; `npm run schema` makes it anew.
// Frames and bodies of the session `ibora.v1`. Whoever edits this file edits the wrong one.

/** Every frame a client may send, by `t`. Read strictly: an unknown field is refused. */
export type ClientFrame = Hello | Cmd | Ack | Tel | ClientPing | ClientPong | ClientAuth;

/**
 * Every frame the engine sends, by `t`. Open to additive change: a client passes over fields, types
 * and ops that it does not know.
 */
export type ServerFrame =
  | Welcome
  | Res
  | Err
  | Evt
  | Eph
  | Tack
  | ServerPing
  | ServerPong
  | ServerAuth
  | Drain
  | Sync;

/** A place as a client sends it, in WGS84 degrees. */
export interface Coordinates {
  lat: number;
  lng: number;
}

/** A place as the engine tells it, in WGS84 degrees. */
export interface Place {
  lat: number;
  lng: number;
}

export type Category = 'economy' | 'comfort' | 'premium' | 'moto' | 'delivery';

export type PaymentMethod = 'pix' | 'cash';

/**
 * searching -> accepted -> arriving -> arrived -> started -> completed; `arriving` is set by
 * position or skipped.
 */
export type RideStatus =
  | 'scheduled'
  | 'searching'
  | 'accepted'
  | 'arriving'
  | 'arrived'
  | 'started'
  | 'completed'
  | 'canceled'
  | 'no_driver';

export type CancelReason =
  | 'changed_mind'
  | 'driver_late'
  | 'driver_asked'
  | 'wrong_place'
  | 'no_show'
  | 'vehicle'
  | 'safety'
  | 'other';

/** A UUIDv7, made once a command; the idempotency key, shared with REST, known for 24 h. */
export type CommandId = string;

/**
 * `[ms, lat, lng, acc_m, speed_mps, bearing_deg]`: milliseconds since 1970, WGS84 degrees, metres,
 * metres a second, degrees. What stands behind `lng` may be left out or null; -1 is unknown too.
 */
export type Point = (number | null)[];

export interface VehicleCard {
  id: string;
  plate: string;
  make: string;
  model: string;
  color: string;
}

export interface RidePassenger {
  id: string;
  name: string;
  rating: number;
}

/** `location` from the acceptance until the end only. */
export interface RideDriver {
  id: string;
  name: string;
  rating: number;
  vehicle: VehicleCard | null;
  location: Place | null;
}

/** The lines sum to `estimated`. */
export interface Breakdown {
  /** Reais with two places. */
  base: string;
  /** Reais with two places. */
  distance: string;
  /** Reais with two places. */
  time: string;
  /** Reais with two places. */
  adjustment: string;
}

export interface Fare {
  /** Reais with two places. */
  estimated: string;
  final: string | null;
  currency: 'BRL';
  breakdown: Breakdown;
}

export interface Cancellation {
  by: 'passenger' | 'driver' | 'admin' | 'system';
  reason: CancelReason;
  note: string | null;
  /** Reais with two places; `0.00` where free. */
  fee: string;
  at: string;
}

/** What its reader said of the other. */
export interface Rating {
  stars: number;
  comment: string | null;
}

export interface RidePayment {
  status: string;
  payment_id: string;
}

/** A ride as its reader may see it. */
export interface Ride {
  id: string;
  status: RideStatus;
  /**
   * Its driver is still on another ride, and comes when he has ended that: until then the ride is
   * `accepted`, and its passenger cancels free.
   */
  chained: boolean;
  category: Category;
  passenger: RidePassenger;
  driver: RideDriver | null;
  pickup: Place;
  dropoff: Place;
  stops: Place[];
  fare: Fare;
  payment_method: PaymentMethod;
  payment: RidePayment | null;
  /** For the passenger only. */
  pin?: string;
  notes?: string;
  /** Counts what happened to the ride; goes into `if`. */
  version: number;
  requested_at: string;
  accepted_at: string | null;
  arrived_at: string | null;
  started_at: string | null;
  completed_at: string | null;
  canceled_at: string | null;
  cancellation: Cancellation | null;
  rating?: Rating;
}

/** The Pix key that a driver is paid to, without the key. */
export interface PixKeyStand {
  kind: 'cpf' | 'cnpj' | 'email' | 'phone' | 'random';
  /** Nothing is paid to it before. */
  usable_from: string;
}

/** A driver as they see themselves. */
export interface Driver {
  id: string;
  /** offline, online, or what the driver is busy with. */
  status: string;
  approval: 'pending' | 'approved' | 'rejected' | 'suspended';
  category: Category | null;
  vehicle: VehicleCard | null;
  rating: number;
  /** Absent: none is registered. */
  pix_key?: PixKeyStand;
}

/** A ride that a driver may accept until `expires_at`. */
export interface Offer {
  offer_id: string;
  ride_id: string;
  category?: Category;
  pickup: Place;
  dropoff: Place;
  /** Reais with two places. */
  fare: string;
  currency?: 'BRL';
  pickup_distance_m: number;
  pickup_eta_s: number;
  expires_at: string;
}

/** Not sent to a driver whose own accept got that answer. */
export interface OfferWithdrawn {
  offer_id: string;
  ride_id: string;
  reason: 'taken' | 'expired' | 'canceled' | 'driver_busy';
}

export interface Quote {
  quote_id: string;
  category: Category;
  /** Reais with two places. */
  fare: string;
  currency: 'BRL';
  distance_m: number;
  duration_s: number;
  surge: number;
  expires_at: string;
  /** Null while no driver is free. */
  pickup_eta_s: number | null;
}

export interface Quotes {
  quotes: Quote[];
}

/** A charge that can be paid now. */
export interface PixCharge {
  /** Our reference of it at the provider. */
  txid: string;
  /** The text that a payer copies into the bank's app; the QR code says the same. */
  copy_paste: string;
  /** When it can be paid no more. */
  expires_at: string;
}

/** What a ride costs its passenger, or what he puts in for later ones, and whether it was paid. */
export interface Payment {
  payment_id: string;
  /** None for a top-up, and for a Pix that nobody asked for. */
  ride_id: string | null;
  /**
   * `expired`: owed, and a new charge has to be asked for; `unmatched`: nobody asked for it, it
   * goes back; `waived`: he was let off; `lapsed`: a tip or a top-up that nobody paid in time;
   * `written_off`: owed for so long that it is not counted on, and to be paid all the same.
   */
  status: 'pending' | 'expired' | 'paid' | 'refunded' | 'unmatched' | 'waived' | 'lapsed' | 'written_off';
  /** What it is for. */
  due: 'fare' | 'cancel_fee' | 'tip' | 'top_up' | null;
  /** Reais with two places. */
  amount: string;
  /** What of it the passenger's credit has paid. The charge is of the rest. */
  credited: string;
  /** What of it has gone back. */
  refunded: string;
  currency: 'BRL';
  pix: PixCharge | null;
  created_at: string;
  paid_at: string | null;
  /** Counts what happened to it. */
  version: number;
}

/** Money on its way to a driver. */
export interface Payout {
  payout_id: string;
  driver_id: string;
  /**
   * `unclear`: the provider does not say how it ended; it is asked on, and nothing is sent twice.
   */
  status: 'awaiting_approval' | 'queued' | 'in_flight' | 'unclear' | 'done' | 'returned' | 'failed' | 'rejected';
  /** What leaves the driver's balance, the fee included. */
  amount: string;
  /** Reais with two places. */
  fee: string;
  /** What is sent. */
  net: string;
  /** What his bank has sent back; it is his again. */
  returned: string;
  currency: 'BRL';
  /** The end of the key that it goes to: the one that was registered when it was asked for. */
  pix_key: string;
  /** How many people still have to approve it. */
  approvals_missing: number;
  /** The banks' number of it, once it was sent. */
  end_to_end_id: string | null;
  /** Why it failed, by the provider's name, or was rejected. */
  reason: string | null;
  requested_at: string;
  ended_at: string | null;
}

/** To a driver who gave the ride back it is told once that it is searching. */
export interface RideUpdated {
  ride: Ride;
}

export interface DriverUpdated {
  driver: Driver;
}

export interface PaymentUpdated {
  payment: Payment;
}

export interface PayoutUpdated {
  payout: Payout;
}

export interface DriverPosition {
  ride_id: string;
  location: Place;
}

/**
 * Seconds until the driver is at the pickup or, after the start, at the drop-off. Told when it has
 * changed, at most every `rides.eta_every_ms`. Not for rides with stops once they have started.
 */
export interface RideEta {
  ride_id: string;
  eta_s: number;
}

/** Everything a driver's app must show when it knows nothing. */
export interface DriverSnapshot {
  driver: Driver;
  offers: Offer[];
  ride: Ride | null;
  /** The chained ride that comes after `ride`. */
  next_ride: Ride | null;
}

/** Everything a passenger's app must show when it knows nothing. */
export interface PassengerSnapshot {
  passenger: RidePassenger;
  ride: Ride | null;
  payment: Payment | null;
}

export type Snapshot = DriverSnapshot | PassengerSnapshot;

export interface FieldError {
  /** Such as `pickup.lat`; empty for the body as a whole. */
  field: string;
  code: string;
  detail: string;
}

export interface OnlineBody {
  category?: Category;
  vehicle_id?: string;
  location: Coordinates;
}

/** Another than the open offer is `offer_expired`. */
export interface OfferBody {
  offer_id?: string;
}

export interface DeclineBody {
  offer_id?: string;
  /** No control characters. */
  reason?: string;
}

export interface ArriveBody {
  location?: Coordinates;
}

export interface StartBody {
  pin: string;
}

export interface CompleteBody {
  location?: Coordinates;
  /** No control characters. */
  reason?: string;
}

export interface CancelBody {
  reason: CancelReason;
  /** No control characters. */
  note?: string;
}

/** Without `category`: every category. */
export interface EstimateBody {
  pickup: Coordinates;
  dropoff: Coordinates;
  stops?: Coordinates[];
  category?: Category;
}

export interface RequestBody {
  quote_id?: string;
  pickup: Coordinates;
  dropoff: Coordinates;
  stops?: Coordinates[];
  category: Category;
  payment_method: PaymentMethod;
  /** No control characters. */
  notes?: string;
}

export interface RateBody {
  stars: number;
  /** No control characters. */
  comment?: string;
}

export type EmptyBody = Record<string, never>;

/** Begin to take offers. By driver. */
export interface CmdDriverOnline {
  t: 'cmd';
  id: CommandId;
  op: 'driver.online';
  /** The id of the driver. */
  key?: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d: OnlineBody;
}

/** Take no more offers. By driver. */
export interface CmdDriverOffline {
  t: 'cmd';
  id: CommandId;
  op: 'driver.offline';
  /** The id of the driver. */
  key?: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d?: EmptyBody | null;
}

/** Take a ride that was offered. By driver. */
export interface CmdRideAccept {
  t: 'cmd';
  id: CommandId;
  op: 'ride.accept';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d?: OfferBody | null;
}

/** Refuse a ride that was offered. By driver. */
export interface CmdRideDecline {
  t: 'cmd';
  id: CommandId;
  op: 'ride.decline';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d?: DeclineBody | null;
}

/** Say that the car is at the pickup. By driver. */
export interface CmdRideArrive {
  t: 'cmd';
  id: CommandId;
  op: 'ride.arrive';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d?: ArriveBody | null;
}

/** Start the ride with the passenger's PIN. By driver. */
export interface CmdRideStart {
  t: 'cmd';
  id: CommandId;
  op: 'ride.start';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d: StartBody;
}

/** Say that the ride has reached its end. By driver. */
export interface CmdRideComplete {
  t: 'cmd';
  id: CommandId;
  op: 'ride.complete';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d?: CompleteBody | null;
}

/** Cancel a ride, or give it back. By its people. */
export interface CmdRideCancel {
  t: 'cmd';
  id: CommandId;
  op: 'ride.cancel';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d: CancelBody;
}

/** Ask what a ride costs. By passenger. */
export interface CmdRideEstimate {
  t: 'cmd';
  id: CommandId;
  op: 'ride.estimate';
  d: EstimateBody;
}

/** Request a ride. By passenger. */
export interface CmdRideRequest {
  t: 'cmd';
  id: CommandId;
  op: 'ride.request';
  d: RequestBody;
}

/** Rate the other, after a completed ride. By passenger or driver. */
export interface CmdRideRate {
  t: 'cmd';
  id: CommandId;
  op: 'ride.rate';
  /** The id of the ride. */
  key: string;
  /** The version that the ride must have, else `version_conflict`. */
  if?: number;
  d: RateBody;
}

/** The command of each `op`. */
export interface Commands {
  'driver.online': CmdDriverOnline;
  'driver.offline': CmdDriverOffline;
  'ride.accept': CmdRideAccept;
  'ride.decline': CmdRideDecline;
  'ride.arrive': CmdRideArrive;
  'ride.start': CmdRideStart;
  'ride.complete': CmdRideComplete;
  'ride.cancel': CmdRideCancel;
  'ride.estimate': CmdRideEstimate;
  'ride.request': CmdRideRequest;
  'ride.rate': CmdRideRate;
}

/** What `res.d` is for each `op`. */
export interface Answers {
  'driver.online': Driver;
  'driver.offline': Driver;
  'ride.accept': Ride;
  'ride.decline': Ride;
  'ride.arrive': Ride;
  'ride.start': Ride;
  'ride.complete': Ride;
  'ride.cancel': Ride;
  'ride.estimate': Quotes;
  'ride.request': Ride;
  'ride.rate': Ride;
}

/** The first frame, due within 10 s. */
export interface Hello {
  t: 'hello';
  v: 1;
  auth: BearerProof | TicketProof;
  /**
   * The same for one installation of an app: a newer session of a device supersedes its older one.
   * Without: a device like no other.
   */
  device?: string;
  /** Name and version, for support. */
  app?: string;
  resume?: Resume;
}

export interface BearerProof {
  /** An access token. */
  bearer: string;
}

export interface TicketProof {
  /** Of POST /v1/session-tickets: good once, for 30 s. */
  ticket: string;
}

/** Where the client was when it lost its connection. */
export interface Resume {
  stream: string;
  epoch: string;
  /** Of the last event that was taken. */
  seq: number;
}

/** Asks for a change. `key` is the id of what it is about. */
export type Cmd =
  | CmdDriverOnline
  | CmdDriverOffline
  | CmdRideAccept
  | CmdRideDecline
  | CmdRideArrive
  | CmdRideStart
  | CmdRideComplete
  | CmdRideCancel
  | CmdRideEstimate
  | CmdRideRequest
  | CmdRideRate;

/** At once for an event with `prio` 1, else at most every 5 s. */
export interface Ack {
  t: 'ack';
  /** This event and all before it were taken. */
  seq: number;
}

/** Positions of a driver, batched; at most one frame a second, bursts of five. */
export interface Tel {
  t: 'tel';
  /** Counts the batches of a session. */
  n: number;
  pts: Point[];
}

/** Answered by `pong` with the same `ts`. */
export interface ClientPing {
  t: 'ping';
  /** A number or a short text of the asker's choice. */
  ts?: number | string;
}

export interface ClientPong {
  t: 'pong';
  /** A number or a short text of the asker's choice. */
  ts?: number | string;
}

/** A newer access token of the same person. */
export interface ClientAuth {
  t: 'auth';
  bearer: string;
}

export interface Heartbeat {
  /** Longest silence of a client without offer or ride. */
  idle_ms: number;
  /** Longest silence with an open offer or ride. */
  active_ms: number;
  /** Patience after `idle_ms`. */
  grace_ms: number;
  /** Patience after `active_ms`. */
  active_grace_ms: number;
}

export interface StreamPosition {
  /** `drv:` or `pax:`, then the id of the person. */
  id: string;
  /** Another epoch is another stream: nothing can be resumed. */
  epoch: string;
  /** Of the newest event. */
  seq: number;
  /**
   * True: the missed events follow in order. False: the snapshot is the truth, the client drops its
   * own state.
   */
  recovered: boolean;
}

export interface Limits {
  /** Bytes of one frame. */
  frame: number;
  /** Commands a second, in the long run. */
  rate: number;
  /** Commands at once. */
  burst: number;
}

/** The session is open. */
export interface Welcome {
  t: 'welcome';
  session: string;
  now: string;
  /** Seconds the token is good for. */
  auth_ttl_s: number;
  hb: Heartbeat;
  stream: StreamPosition;
  limits: Limits;
  snapshot: Snapshot;
}

/**
 * A command was carried out; sent after its commit. The same `id` gets the same answer for 24 h.
 */
export interface Res {
  t: 'res';
  id: CommandId;
  ok: true;
  /** The version of what the command was about. */
  ver: number;
  /** See Answers. */
  d: Ride | Driver | Quotes | null;
}

/** Refused. Without `id`: not about a command that could be read. */
export interface Err {
  t: 'err';
  id?: CommandId;
  /** Stable; docs/problems.md lists them. */
  code: string;
  /** Whether the same command, with the same id, may succeed later. */
  retry: boolean;
  /** When to ask again. */
  retry_ms?: number;
  d?: ErrDetail;
}

export interface ErrDetail {
  errors?: FieldError[];
}

/** A ride is offered to a driver. */
export interface EvtOfferMade {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'offer.made';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: Offer;
}

/** An offer is no longer open. */
export interface EvtOfferWithdrawn {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'offer.withdrawn';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: OfferWithdrawn;
}

/** Something happened to a ride. */
export interface EvtRideUpdated {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'ride.updated';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: RideUpdated;
}

/** What a driver is has changed. */
export interface EvtDriverUpdated {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'driver.updated';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: DriverUpdated;
}

/** Something happened to a payment. */
export interface EvtPaymentUpdated {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'payment.updated';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: PaymentUpdated;
}

/** Something happened to a payout. */
export interface EvtPayoutUpdated {
  t: 'evt';
  /** Its place in the stream; no gaps. */
  seq: number;
  id: string;
  op: 'payout.updated';
  key: string;
  ver: number;
  /** When it is of no use any more. */
  exp?: string;
  /** 1: urgent, acknowledge at once; sent again every 3 s until then. */
  prio: 0 | 1;
  d: PayoutUpdated;
}

/** Durable, in order, at least once. */
export type Evt =
  | EvtOfferMade
  | EvtOfferWithdrawn
  | EvtRideUpdated
  | EvtDriverUpdated
  | EvtPaymentUpdated
  | EvtPayoutUpdated;

/** The event of each `op`. */
export interface Events {
  'offer.made': EvtOfferMade;
  'offer.withdrawn': EvtOfferWithdrawn;
  'ride.updated': EvtRideUpdated;
  'driver.updated': EvtDriverUpdated;
  'payment.updated': EvtPaymentUpdated;
  'payout.updated': EvtPayoutUpdated;
}

/** Where the driver of a ride is. */
export interface EphDriverPosition {
  t: 'eph';
  op: 'driver.position';
  /** The id of the ride. */
  key: string;
  d: DriverPosition;
}

/** When the driver will be there. */
export interface EphRideEta {
  t: 'eph';
  op: 'ride.eta';
  /** The id of the ride. */
  key: string;
  d: RideEta;
}

/** Shown and forgotten; the newest of an `op` and `key` wins. */
export type Eph = EphDriverPosition | EphRideEta;

/** The ephemeral frame of each `op`. */
export interface Ephemerals {
  'driver.position': EphDriverPosition;
  'ride.eta': EphRideEta;
}

export interface Tack {
  t: 'tack';
  /** This batch and all before it came; not that they are durable. */
  n: number;
}

export interface ServerPing {
  t: 'ping';
  /** A number or a short text of the asker's choice. */
  ts?: number | string;
}

export interface ServerPong {
  t: 'pong';
  /** A number or a short text of the asker's choice. */
  ts?: number | string;
}

export interface ServerAuth {
  t: 'auth';
  /** Seconds the newer token is good for. */
  auth_ttl_s: number;
}

/** The engine is about to stop; the session's state stays. */
export interface Drain {
  t: 'drain';
  /** When to reconnect. */
  in_ms: number;
}

/** The server found a gap: the snapshot is the truth, the client drops its own state. */
export interface Sync {
  t: 'sync';
  /** As of which event the snapshot is. */
  stream?: {
    id: string;
    epoch: string;
    seq: number;
  };
  snapshot: Snapshot;
}

/** The answer of GET /v1/stream, the long-poll fallback: the same events. */
export interface StreamAnswer {
  epoch: string;
  /** Where the stream stands after these events. */
  seq?: number;
  recovered: boolean;
  events: Evt[];
  snapshot?: Snapshot;
}
