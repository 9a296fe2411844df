// Long polls stand in where no WebSocket opens, and only there.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import type { StreamAnswer } from '../src/index.js';
import {
  driver, driverUpdated, offerMade, welcome, DRIVER, OFFER, RIDE,
} from './support/server.js';
import { until } from './support/until.js';
import { World } from './support/world.js';

const snapshot = { driver, offers: [], ride: null, next_ride: null };
const first: StreamAnswer = { epoch: '7c1e', seq: 10, recovered: false, events: [], snapshot };

/** A client whose handshakes were refused until it polls. */
async function polling(t: TestContext): Promise<World> {
  const world = await World.make(t);
  world.server.refuses = true;
  void world.client.start();
  for (const tries of [1, 2, 3]) {
    await until('a refusal', () => world.server.refused === tries);
    await world.is('waiting');
    if (tries < 3) world.clock.advance(world.clock.next);
  }
  const asked = await world.server.request('/v1/stream');
  assert.deepEqual([asked.method, asked.path], ['GET', '/v1/stream?wait=0']);
  assert.match(String(asked.headers.authorization), /^Bearer token-/);
  asked.answer(200, first);
  await world.is('polling');
  // The engine answers: a WebSocket is tried once more at once.
  world.clock.advance(0);
  await until('a refusal', () => world.server.refused === 4);
  return world;
}

test('after three handshakes that failed events come over long polls, each once', async (t) => {
  const world = await polling(t);
  assert.equal(world.snapshots.length, 1);
  let asked = await world.server.request('/v1/stream');
  assert.equal(asked.path, '/v1/stream?epoch=7c1e&seq=10&wait=25');
  asked.answer(200, { epoch: '7c1e', recovered: true, events: [offerMade(11), driverUpdated(12)] });
  await until('two events', () => world.events.length === 2);
  world.clock.advance(0);
  asked = await world.server.request('/v1/stream');
  assert.equal(asked.path, '/v1/stream?epoch=7c1e&seq=12&wait=25', 'which acknowledges them');
  const events = [driverUpdated(12), driverUpdated(13)];
  asked.answer(200, { epoch: '7c1e', recovered: true, events });
  await until('three events', () => world.events.length === 3);
  assert.deepEqual(world.events.map(({ seq }) => seq), [11, 12, 13]);
});

test('commands go over REST under their id, retries too', async (t) => {
  const world = await polling(t);
  const d = { offer_id: OFFER };
  const accepted = world.client.request('ride.accept', { key: RIDE, if: 3, d });
  const asked = await world.server.request('/v1/rides');
  const id = asked.headers['idempotency-key'];
  assert.deepEqual([asked.method, asked.path], ['POST', `/v1/rides/${RIDE}/accept`]);
  assert.deepEqual([asked.body, asked.headers['if-match']], [{ offer_id: OFFER }, '"3"']);
  asked.answer(503, { code: 'overloaded', status: 503 }, { 'retry-after': '2' });
  const since = world.clock.now();
  const isAccept = ({ path }: { path: string }) => path.startsWith('/v1/rides');
  const again = await world.passing('the same again', () => world.server.asked.take(isAccept));
  assert.ok(world.clock.now() - since >= 2_000);
  assert.equal(again.headers['idempotency-key'], id);
  again.answer(409, { code: 'ride_already_assigned', status: 409 });
  await assert.rejects(accepted, { name: 'Refused', code: 'ride_already_assigned' });

  const location = { lat: 1, lng: 2 };
  const online = world.client.request('driver.online', { d: { location } });
  const put = await world.server.request('/v1/me/availability');
  assert.deepEqual([put.method, put.body], ['PUT', { status: 'online', location }]);
  put.answer(200, driver, { etag: '"7"' });
  assert.equal((await online).id, DRIVER);
  assert.deepEqual(world.settled.at(-1)!.outcome, { ok: true, ver: 7, d: driver });
});

test('positions go over REST', async (t) => {
  const world = await polling(t);
  world.client.report({ lat: 1, lng: 2, accuracy_m: 5 });
  world.clock.advance(0);
  const asked = await world.server.request('/v1/me/locations');
  const at = new Date(world.clock.now()).toISOString();
  assert.deepEqual(asked.body, { points: [{ at, lat: 1, lng: 2, accuracy_m: 5 }] });
  asked.answer(202, { received: 1 });
});

test('a token that is no good is renewed once a call', async (t) => {
  const world = await polling(t);
  const before = world.tokens.length;
  const poll = await world.server.request('/v1/stream');
  poll.answer(401, { code: 'unauthenticated', status: 401 });
  const again = await world.server.request('/v1/stream');
  assert.deepEqual(world.tokens.slice(before), [true]);
  again.answer(401, { code: 'unauthenticated', status: 401 });
  await world.is('stopped');
  assert.equal(world.stops[0]!.code, 4002);
});

test('as soon as a WebSocket opens, it takes over and resumes', async (t) => {
  const world = await polling(t);
  const poll = await world.server.request('/v1/stream');
  poll.answer(200, { epoch: '7c1e', recovered: true, events: [driverUpdated(11)] });
  await until('an event', () => world.events.length === 1);
  const accepted = world.client.request('ride.accept', { key: RIDE });
  const { headers } = await world.server.request('/v1/rides');
  world.server.refuses = false;
  world.clock.advance(75_000);
  const peer = await world.server.peer();
  await peer.open({ ...welcome(12, { recovered: true }) });
  await world.is('open');
  const cmd = await peer.next('cmd');
  assert.equal(cmd.id, headers['idempotency-key'], 'asked again where the answer will come');
  peer.send({ t: 'res', id: cmd.id, ok: true, ver: 1, d: null });
  await accepted;
  while (world.server.asked.take());
  for (let s = 0; s < 60; s += 1) {
    world.clock.advance(1_000);
    peer.send({ t: 'ping', ts: s });
    await peer.next('pong');
  }
  assert.equal(world.server.asked.size, 0, 'no poll stands in any more');
});

test('a client that stops polls no more', async (t) => {
  const world = await polling(t);
  const poll = await world.server.request('/v1/stream');
  world.client.stop();
  poll.answer(200, { epoch: '7c1e', recovered: true, events: [driverUpdated(11)] });
  assert.deepEqual([world.client.state, world.clock.next], ['stopped', Infinity]);
  // One that starts again goes the same way: what came after the stop was not taken.
  void world.client.start();
  const again = await world.passing('a poll', () =>
    world.server.asked.take(({ path }) => path.startsWith('/v1/stream')),
  );
  assert.equal(again.path, '/v1/stream?epoch=7c1e&seq=10&wait=0');
  assert.deepEqual(world.events, []);
});

test('an engine that is merely down is not polled instead', async (t) => {
  const world = await World.make(t);
  world.server.refuses = true;
  void world.client.start();
  for (const tries of [1, 2, 3]) {
    await until('a refusal', () => world.server.refused === tries);
    await world.is('waiting');
    if (tries < 3) world.clock.advance(world.clock.next);
  }
  (await world.server.request('/v1/stream')).answer(503, { code: 'unavailable', status: 503 });
  world.server.refuses = false;
  world.clock.advance(30_000);
  const peer = await world.server.peer();
  await peer.open(welcome(10));
  await world.is('open');
  assert.ok(!world.states.includes('polling'));
});

test('an engine without long polls is asked for one once', async (t) => {
  const world = await World.make(t);
  world.server.refuses = true;
  void world.client.start();
  for (const tries of [1, 2, 3]) {
    await until('a refusal', () => world.server.refused === tries);
    await world.is('waiting');
    if (tries < 3) world.clock.advance(world.clock.next);
  }
  (await world.server.request('/v1/stream')).answer(404, { code: 'not_found', status: 404 });
  await until('a try at once', () => world.clock.next === 0);
  await world.passing('more refusals', () => world.server.refused > 8, 1_000);
  assert.equal(world.server.asked.size, 0);
});

test('the answers of long polls that leave events out are not believed', async (t) => {
  const world = await polling(t);
  const poll = await world.server.request('/v1/stream');
  poll.answer(200, { epoch: '7c1e', recovered: true, events: [driverUpdated(13)] });
  const next = () => world.passing('a poll', () => world.server.asked.take(), 2_000);
  let again = await next();
  while (again.path.includes('seq')) {
    again.answer(200, { epoch: '7c1e', recovered: true, events: [driverUpdated(13)] });
    again = await next();
  }
  again.answer(200, { ...first, seq: 13 });
  await until('a snapshot', () => world.snapshots.length === 2);
  assert.deepEqual(world.events, []);
});
