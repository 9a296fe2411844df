// Sessions against a scripted engine: what is resumed, told, acknowledged, and kept alive.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World } from './support/world.js';
import { driver, driverUpdated, offerMade, welcome, withdrawn, DRIVER } from './support/server.js';
import { until } from './support/until.js';

const seqs = (world: World) => world.events.map((event) => event.seq);
const told = (world: World, count: number) =>
  until(`${count} events`, () => world.events.length >= count);

test('a first hello says who it is and resumes nothing', async (t) => {
  const world = await World.make(t, { device: DRIVER, app: 'test/1' });
  void world.client.start();
  const peer = await world.server.peer();
  const hello = await peer.open(welcome(10));
  const auth = { bearer: 'token-1' };
  assert.deepEqual(hello, { t: 'hello', v: 1, auth, device: DRIVER, app: 'test/1' });
  await world.is('open');
  assert.deepEqual(world.snapshots, [{ driver, offers: [], ride: null, next_ride: null }]);
  assert.deepEqual(world.states, ['connecting', 'open']);
});

test('a lost connection is resumed where it broke', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(driverUpdated(11), driverUpdated(12));
  await told(world, 2);
  peer.cut();
  const again = await world.reconnected();
  const hello = await again.open(welcome(14, { recovered: true }));
  assert.deepEqual(hello.resume, { stream: `drv:${DRIVER}`, epoch: '7c1e', seq: 12 });
  again.send(driverUpdated(13), driverUpdated(14), driverUpdated(15));
  await told(world, 5);
  assert.deepEqual(seqs(world), [11, 12, 13, 14, 15]);
  assert.equal(world.snapshots.length, 1, 'the snapshot of a recovered session is not news');
});

test('what cannot be recovered begins anew from the snapshot', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(driverUpdated(11));
  await told(world, 1);
  peer.cut();
  const again = await world.reconnected();
  await again.open(welcome(3, { epoch: 'other' }));
  again.send(driverUpdated(4));
  await told(world, 2);
  assert.equal(world.snapshots.length, 2);
  assert.deepEqual(seqs(world), [11, 4]);
  again.cut();
  const third = await world.reconnected();
  const { resume } = await third.next('hello');
  assert.deepEqual(resume, { stream: `drv:${DRIVER}`, epoch: 'other', seq: 4 });
});

test('an event is told once, and a repeated urgent one acknowledged again', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(offerMade(11));
  assert.deepEqual(await peer.next('ack'), { t: 'ack', seq: 11 });
  peer.send(offerMade(11));
  assert.deepEqual(await peer.next('ack'), { t: 'ack', seq: 11 });
  peer.send(driverUpdated(12), offerMade(11), driverUpdated(12), driverUpdated(13));
  assert.deepEqual(await peer.next('ack'), { t: 'ack', seq: 12 }, 'cumulative');
  await told(world, 3);
  assert.deepEqual(seqs(world), [11, 12, 13]);
});

test('events that are not urgent are acknowledged together, five seconds later', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(driverUpdated(11));
  await told(world, 1);
  world.clock.advance(4_000);
  peer.send(driverUpdated(12));
  await told(world, 2);
  assert.equal(peer.frames.size, 0);
  world.clock.advance(1_000);
  assert.deepEqual(await peer.next('ack'), { t: 'ack', seq: 12 });
});

test('after a gap nothing is told until the engine has filled it', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(driverUpdated(11), driverUpdated(13), driverUpdated(14));
  await peer.closed;
  world.clock.advance(0);
  const again = await world.server.peer();
  const hello = await again.open(welcome(14, { recovered: true }));
  assert.equal(hello.resume?.seq, 11);
  again.send(driverUpdated(12), driverUpdated(13), driverUpdated(14));
  await told(world, 4);
  assert.deepEqual(seqs(world), [11, 12, 13, 14]);
});

test('a gap that the engine does not fill is left behind with a snapshot', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(driverUpdated(12));
  await peer.closed;
  const again = await world.reconnected();
  assert.equal((await again.open(welcome(12, { recovered: true }))).resume?.seq, 10);
  again.send(driverUpdated(12));
  await again.closed;
  const third = await world.reconnected();
  assert.equal((await third.open(welcome(12))).resume, undefined);
  await until('a snapshot', () => world.snapshots.length === 2);
});

test('a sync is the truth, and what comes after it is told', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send({ t: 'sync', snapshot: { driver, offers: [], ride: null, next_ride: null } }, driverUpdated(40));
  await told(world, 1);
  assert.equal(world.snapshots.length, 2);
  peer.send(driverUpdated(42));
  await peer.closed;
});

test('silence is broken in time, sooner while an offer is open', async (t) => {
  const { world, peer } = await World.open(t, 10);
  world.clock.advance(13_500);
  const { ts } = await peer.next('ping');
  peer.send({ t: 'pong', ts: ts! }, offerMade(11));
  await peer.next('ack');
  world.clock.advance(4_500);
  await peer.next('ping');
  peer.send({ t: 'pong' }, withdrawn(12));
  await told(world, 2);
  world.clock.advance(4_500);
  peer.send({ t: 'ping', ts: 'are you there' });
  assert.deepEqual(await peer.next('pong'), { t: 'pong', ts: 'are you there' });
  assert.equal(peer.frames.size, 0, 'no ping: nothing is open any more');
});

test('an engine that answers no ping is left', async (t) => {
  const { world, peer } = await World.open(t, 10);
  world.clock.advance(13_500);
  await peer.next('ping');
  world.clock.advance(7_999);
  assert.equal(world.client.state, 'open');
  world.clock.advance(1);
  assert.equal(world.client.state, 'waiting');
  await peer.closed;
  const again = await world.reconnected();
  assert.equal((await again.next('hello')).resume?.seq, 10);
});

test('a drain is followed when it says, and resumed', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send({ t: 'drain', in_ms: 2_500 }, driverUpdated(11));
  await told(world, 1);
  world.clock.advance(2_499);
  assert.equal(world.client.state, 'open');
  world.clock.advance(1);
  await peer.closed;
  world.clock.advance(0);
  const again = await world.server.peer();
  assert.equal((await again.open(welcome(11, { recovered: true }))).resume?.seq, 11);
  await world.is('open');
  assert.equal(world.tokens.length, 2);
});

test('each range of close codes is acted on', async (t) => {
  const { world, peer } = await World.open(t, 10);
  world.clock.chance = 0.5;
  peer.close(4201);
  await world.is('waiting');
  assert.equal(world.clock.next, 0, '42xx: at once');
  let next = await world.reconnected();
  await next.open(welcome(10, { recovered: true }));
  await world.is('open');
  world.clock.advance(10_000);
  next.close(4104);
  await world.is('waiting');
  assert.equal(world.clock.next, 500, '41xx: up to a second');
  next = await world.reconnected();
  await next.open(welcome(10, { recovered: true }));
  await world.is('open');
  next.close(4104);
  await world.is('waiting');
  assert.equal(world.clock.next, 1_000, 'the session did not last: up to two');
  next = await world.reconnected();
  await next.open(welcome(10, { recovered: true }));
  await world.is('open');
  world.clock.advance(10_000);
  next.cut();
  await world.is('waiting');
  assert.equal(world.clock.next, 125, 'a broken line: quick');
  next = await world.reconnected();
  await next.open(welcome(10, { recovered: true }));
  await world.is('open');
});

test('who is superseded stops, says so, and comes back only when told to', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.close(4004);
  await world.is('stopped');
  assert.deepEqual(world.stops, [{ code: 4004, word: 'scripted' }]);
  assert.equal(world.clock.next, Infinity, 'nothing is planned');
  await assert.rejects(world.client.request('driver.offline', {}), { name: 'Stopped' });
  void world.client.start();
  const again = await world.server.peer();
  assert.equal((await again.open(welcome(10, { recovered: true }))).resume?.seq, 10);
  await world.is('open');
});

test('who is stopped by the app stays so, wherever it was', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(offerMade(11), driverUpdated(12));
  await told(world, 2);
  world.client.stop();
  await peer.closed;
  assert.deepEqual([world.client.state, world.clock.next], ['stopped', Infinity]);
  void world.client.start();
  await world.server.peer();
  world.client.stop();
  assert.deepEqual([world.client.state, world.clock.next], ['stopped', Infinity]);
  world.server.refuses = true;
  void world.client.start();
  await world.is('waiting');
  world.client.stop();
  assert.deepEqual([world.client.state, world.clock.next], ['stopped', Infinity]);
  assert.deepEqual(world.stops.map(({ code }) => code), [1000, 1000, 1000]);
});

test('the token is renewed before it ends, on the same socket', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.send(offerMade(11));
  await peer.next('ack');
  // Frames keep the session alive while time runs.
  for (let at = 0; at < 780_000; at += 4_000) {
    assert.equal(world.tokens.length, 1);
    world.clock.advance(4_000);
    peer.send(offerMade(11));
    await peer.next('ack');
  }
  assert.deepEqual(await peer.next('auth'), { t: 'auth', bearer: 'token-2' });
  assert.deepEqual(world.tokens, [false, true]);
  peer.send({ t: 'err', code: 'unauthenticated', retry: false }, offerMade(11));
  await peer.next('ack');
  world.clock.advance(5_000);
  const { bearer } = await peer.next('auth');
  assert.equal(bearer, 'token-3', 'refused: a newer one');
  peer.send({ t: 'auth', auth_ttl_s: 900 }, offerMade(11));
  await peer.next('ack');
  assert.deepEqual(world.tokens, [false, true, true]);
});

test('a token that expired is renewed for the next hello', async (t) => {
  const { world, peer } = await World.open(t, 10);
  peer.close(4103);
  const again = await world.reconnected();
  await again.open(welcome(10, { recovered: true }));
  assert.deepEqual(world.tokens, [false, true]);
});

test('without a token to be had the client stops', async (t) => {
  const world = await World.make(t, { token: () => null });
  void world.client.start();
  await world.is('stopped');
  assert.equal(world.stops[0]?.code, 4002);
  assert.equal(world.server.upgraded, 0);
});

test('a token source that fails for now is asked again', async (t) => {
  let asked = 0;
  const token = () => {
    asked += 1;
    if (asked === 1) throw new Error('no network');
    return 'token';
  };
  const world = await World.make(t, { token });
  void world.client.start();
  const peer = await world.reconnected();
  await peer.open(welcome(10));
  await world.is('open');
  assert.deepEqual(world.faults.map(({ code }) => code), ['connect']);
});

test('a session may begin with a ticket', async (t) => {
  const world = await World.make(t, { ticket: true });
  void world.client.start();
  const asked = await world.server.request('/v1/session-tickets');
  assert.equal(asked.headers.authorization, 'Bearer token-1');
  asked.answer(201, { ticket: 'q7m2', expires_in: 30 });
  const peer = await world.server.peer();
  assert.deepEqual((await peer.open(welcome(10))).auth, { ticket: 'q7m2' });
  await world.is('open');
});

test('an app that wakes up tries at once, or asks whether the engine is there', async (t) => {
  const { world, peer } = await World.open(t, 10);
  world.client.wake();
  await peer.next('ping');
  peer.cut();
  await world.is('waiting');
  world.client.wake();
  const again = await world.server.peer();
  await again.open(welcome(10, { recovered: true }));
  await world.is('open');
});

test('neither an unknown frame nor a handler that throws stops anything', async (t) => {
  const { world, peer } = await World.open(t, 10);
  world.client.on('driver.updated', () => {
    throw new Error('a defect of the app');
  });
  const unknown = { ...driverUpdated(11), op: 'moon.rose' };
  for (const text of ['{"t":"moon"}', 'no frame', 'null', JSON.stringify(unknown)]) peer.say(text);
  peer.send(driverUpdated(12), driverUpdated(13));
  await told(world, 3);
  assert.deepEqual(seqs(world), [11, 12, 13]);
  assert.deepEqual(world.faults.map(({ code }) => code), ['handler', 'handler']);
});
