// The client against the real engine: a ride from end to end, a killed engine, a deployment, and,
// where the engine can, resumed streams and long polls.

import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';

import { Client, type ClientOptions, type Evt, type Ride, type Snapshot } from '../src/index.js';
import { document } from './support/document.js';
import { Engine, misfits, Watched, withoutEngine, type Person } from './support/engine.js';
import { until } from './support/until.js';

const SKIP = { skip: withoutEngine };
const AT = { lat: -23.5503, lng: -46.6339 };
const TO = { lat: -23.5614, lng: -46.6559 };
const PATIENCE_MS = 30_000;
const order = { pickup: AT, dropoff: TO, category: 'economy', payment_method: 'cash' } as const;

let engine: Engine;
before(async () => {
  if (!withoutEngine) engine = await Engine.start(4, 6);
});
after(async () => {
  await engine?.stop();
});

/** Why a test of what this engine cannot do yet is skipped; it says what it can. */
async function lacks(t: TestContext, what: string): Promise<boolean> {
  const { status } = await engine.get('/asyncapi.json');
  if (status === 404) t.skip(`this engine has no /asyncapi.json, and no ${what}`);
  return status === 404;
}

/** A person's app. */
class App {
  readonly events: Evt[] = [];
  readonly snapshots: Snapshot[] = [];
  readonly client: Client;

  constructor(t: TestContext, person: Person, more: Partial<ClientOptions> = {}) {
    this.client = new Client({
      url: engine.url, token: () => person.token, app: 'test/1', WebSocket: Watched, ...more,
    });
    this.client.on('event', (event) => this.events.push(event));
    this.client.on('snapshot', (snapshot) => this.snapshots.push(snapshot));
    t.after(() => this.client.stop());
    void this.client.start();
  }

  /** Waits until it knows everything there is. */
  ready(): Promise<boolean> {
    return until('a snapshot', () => this.snapshots.length > 0, PATIENCE_MS);
  }

  /** Waits for an event of the op that fits. */
  event<O extends Evt['op']>(op: O, fits = (_: Extract<Evt, { op: O }>) => true) {
    type Wanted = Extract<Evt, { op: O }>;
    const isWanted = (event: Evt): event is Wanted => event.op === op && fits(event as Wanted);
    return until(op, () => this.events.find(isWanted), PATIENCE_MS);
  }

  ride(status: Ride['status']) {
    return this.event('ride.updated', ({ d }) => d.ride.status === status);
  }
}

async function online(t: TestContext, at: number, more: Partial<ClientOptions> = {}): Promise<App> {
  const car = new App(t, engine.person('driver', at), { positionsEveryMs: 1_000, ...more });
  await car.ready();
  const d = { category: 'economy', location: AT } as const;
  const state = await car.client.request('driver.online', { d });
  assert.equal(state.status, 'online');
  car.client.report({ ...AT, accuracy_m: 5 });
  return car;
}

/** Takes a driver off the road, so that the next test's rides are its own. */
async function offline(car: App): Promise<void> {
  await car.client.request('driver.offline', {});
}

test('a ride is estimated, requested, won, driven and completed', SKIP, async (t) => {
  const car = await online(t, 0);
  const phone = new App(t, engine.person('passenger', 0));
  await phone.ready();
  const { quotes } = await phone.client.request('ride.estimate', {
    d: { pickup: AT, dropoff: TO, category: 'economy' },
  });
  const quote = quotes[0]!;
  assert.match(quote.fare, /^\d+\.\d\d$/);
  const quoted = { ...order, quote_id: quote.quote_id };
  const ride = await phone.client.request('ride.request', { d: quoted });
  assert.equal(ride.fare.estimated, quote.fare);
  const offer = await car.event('offer.made', ({ key }) => key === ride.id);
  const won = await car.client.request('ride.accept', {
    key: ride.id, d: { offer_id: offer.d.offer_id },
  });
  assert.equal(won.status, 'accepted');
  const { pin } = (await phone.ride('accepted')).d.ride;
  const key = ride.id;
  // Asked at once and not waited for: what is about one ride goes in order.
  const steps = [
    car.client.request('ride.arrive', { key, d: { location: AT } }),
    car.client.request('ride.start', { key, d: { pin: pin! } }),
    car.client.request('ride.complete', { key, d: { reason: 'a short test' } }),
  ];
  const statuses = (await Promise.all(steps)).map(({ status }) => status);
  assert.deepEqual(statuses, ['arrived', 'started', 'completed']);
  await phone.ride('completed');
  const again = car.client.request('ride.accept', { key });
  await assert.rejects(again, { name: 'Refused' });
  await offline(car);
});

test('who is superseded stops', SKIP, async (t) => {
  const person = engine.person('driver', 1);
  const old = new App(t, person);
  await old.ready();
  const next = new App(t, person);
  await next.ready();
  await until('an end', () => old.client.state === 'stopped', PATIENCE_MS);
  assert.equal(next.client.state, 'open');
});

test('a session begins with a ticket', SKIP, async (t) => {
  const phone = new App(t, engine.person('passenger', 1), { ticket: true });
  await phone.ready();
  const d = { pickup: AT, dropoff: TO };
  const { quotes } = await phone.client.request('ride.estimate', { d });
  assert.ok(quotes.length > 1);
});

test('a token that is none ends it', SKIP, async (t) => {
  const phone = new App(t, { ...engine.person('passenger', 1), token: 'forged' });
  const stopped = new Promise<number>((resolve) => {
    phone.client.on('stopped', ({ code }) => resolve(code));
  });
  assert.equal(await stopped, 4002);
});

test('an engine is killed: clients come back, each command is answered once', SKIP, async (t) => {
  const phone = new App(t, engine.person('passenger', 2), { longPollAfter: Infinity });
  const other = new App(t, engine.person('passenger', 3), { longPollAfter: Infinity });
  await Promise.all([phone.ready(), other.ready()]);
  const answers: string[] = [];
  phone.client.on('settled', ({ id }) => answers.push(id));
  // Perhaps it is taken before the kill, perhaps not: its id makes it one ride either way.
  const hasty = other.client.request('ride.request', { d: order });
  await engine.kill();
  await until('the loss', () => phone.client.state !== 'open', PATIENCE_MS);
  const queued = phone.client.request('ride.request', { d: order });
  assert.equal(phone.client.pending.length, 1);
  await engine.launch();
  const rides = await Promise.all([queued, hasty]);
  assert.equal(answers.length, 1);
  const people = [engine.person('passenger', 2), engine.person('passenger', 3)];
  for (const [at, person] of people.entries()) {
    const { body } = await engine.get('/v1/me', person);
    assert.equal(body.active_ride.id, rides[at]!.id);
    const { body: all } = await engine.get('/v1/rides', person);
    assert.equal(all.items.length, 1, 'one ride, however often it was asked for');
  }
  for (const [at, app] of [phone, other].entries()) {
    const canceled = await app.client.request('ride.cancel', {
      key: rides[at]!.id, d: { reason: 'changed_mind' },
    });
    assert.equal(canceled.status, 'canceled');
  }
});

test('an engine is deployed anew: the same session, some seconds later', SKIP, async (t) => {
  const phone = new App(t, engine.person('passenger', 4), { longPollAfter: Infinity });
  await phone.ready();
  await engine.terminate();
  await until('the loss', () => phone.client.state !== 'open', PATIENCE_MS);
  const estimate = phone.client.request('ride.estimate', { d: { pickup: AT, dropoff: TO } });
  await engine.launch();
  assert.ok((await estimate).quotes.length > 1);
  assert.equal(phone.client.state, 'open');
});

test('what a broken line missed follows in order, and nothing else is lost', SKIP, async (t) => {
  if (await lacks(t, 'resumed streams')) return;
  const car = await online(t, 2);
  const phone = new App(t, engine.person('passenger', 5));
  await phone.ready();
  const ride = await phone.client.request('ride.request', { d: order });
  await car.event('offer.made', ({ key }) => key === ride.id);
  for (const socket of Watched.open) socket.terminate();
  const d = { reason: 'changed_mind' as const };
  await phone.client.request('ride.cancel', { key: ride.id, d });
  await Promise.all([car.event('offer.withdrawn'), phone.ride('canceled')]);
  for (const app of [car, phone]) {
    assert.equal(app.snapshots.length, 1, 'recovered: no new truth');
    const seqs = app.events.map(({ seq }) => seq);
    assert.deepEqual(seqs, seqs.map((_, at) => seqs[0]! + at));
  }
  await offline(car);
});

test('without WebSockets a ride is seen and canceled over long polls', SKIP, async (t) => {
  if (await lacks(t, 'long polls')) return;
  class Blocked extends Watched {
    constructor(_: string, protocols: string[]) {
      super('ws://127.0.0.1:1/', protocols);
    }
  }
  const phone = new App(t, engine.person('passenger', 5), { WebSocket: Blocked });
  await phone.ready();
  assert.equal(phone.client.state, 'polling');
  const ride = await phone.client.request('ride.request', { d: order });
  await phone.ride('searching');
  await phone.client.request('ride.cancel', { key: ride.id, d: { reason: 'changed_mind' } });
  const { d } = await phone.ride('canceled');
  assert.equal(d.ride.id, ride.id);
});

test('the engine serves the document that this client was made from', SKIP, async (t) => {
  if (await lacks(t, 'document to compare')) return;
  const { body } = await engine.get('/asyncapi.json');
  assert.deepEqual(body, document);
});

test('every frame of these sessions fitted the document', SKIP, () => {
  assert.ok(Watched.frames > 50, String(Watched.frames));
  assert.deepEqual(misfits, []);
});
