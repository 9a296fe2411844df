// Commands: one id for life, sent again until there is an answer, answered once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, Expired, QueueFull, Refused, uuidv7, webStorage } from '../src/index.js';
import type { Cmd, CommandStorage, Res, StoredCommand } from '../src/index.js';
import { FakeClock } from './support/clock.js';
import { driver, welcome, DRIVER, OFFER, RIDE, type Peer } from './support/server.js';
import { until } from './support/until.js';
import { World } from './support/world.js';

const PLACE = { lat: -23.55, lng: -46.63 };
const accept = { key: RIDE, d: { offer_id: OFFER } };
const res = (id: string, d: unknown = null): Res => ({
  t: 'res', id, ok: true, ver: 3, d: d as null,
});
const err = (id: string, code: string, retryMs?: number) => ({
  t: 'err' as const, id, code, retry: retryMs !== undefined,
  ...(retryMs !== undefined && { retry_ms: retryMs }),
});

/** Storage in memory that tells what was saved. */
class Shelf implements CommandStorage {
  kept: StoredCommand[] = [];
  load = (): StoredCommand[] => structuredClone(this.kept);
  save = (commands: StoredCommand[]): void => {
    this.kept = structuredClone(commands);
  };
}

async function nothingMore(peer: Peer): Promise<void> {
  // A ping goes the same way as a command would: what was before it is here with it.
  peer.send({ t: 'ping', ts: 'last' });
  await peer.next('pong');
  assert.equal(peer.frames.size, 0);
}

test('ids are UUIDv7 and rise', () => {
  const clock = new FakeClock();
  const ids = Array.from({ length: 5_000 }, () => uuidv7(clock));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
  const v7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  for (const id of ids) assert.match(id, v7);
  const ms = Number.parseInt(ids[0]!.replace('-', '').slice(0, 12), 16);
  assert.ok(Math.abs(ms - clock.now()) < 1000);
});

test('a command is what the contract says, and its answer is what the promise gives', async (t) => {
  const { world, peer } = await World.open(t);
  const online = world.client.request('driver.online', { d: { location: PLACE } });
  const cmd = await peer.next('cmd');
  const { id } = cmd;
  const d = { location: PLACE };
  assert.deepEqual(cmd, { t: 'cmd', id, op: 'driver.online', key: DRIVER, d });
  peer.send(res(id, driver));
  assert.equal((await online).status, 'online');
  const started = world.client.request('ride.start', { key: RIDE, if: 4, d: { pin: '0420' } });
  const start = (await peer.next('cmd')) as Extract<Cmd, { op: 'ride.start' }>;
  assert.deepEqual([start.op, start.key, start.if], ['ride.start', RIDE, 4]);
  assert.deepEqual(start.d, { pin: '0420' });
  peer.send(err(start.id, 'pin_wrong'));
  await assert.rejects(started, (error) => error instanceof Refused && error.code === 'pin_wrong');
  assert.deepEqual(world.settled.map(({ outcome }) => outcome.ok), [true, false]);
});

test('a command without an answer goes out again under its id', async (t) => {
  const { world, peer } = await World.open(t);
  const answers: unknown[] = [];
  const accepted = world.client.request('ride.accept', accept).finally(() => answers.push(1));
  const { id } = await peer.next('cmd');
  peer.cut();
  const again = await world.reconnected();
  await again.open(welcome(10, { recovered: true }));
  assert.equal((await again.next('cmd')).id, id);
  again.send(res(id), res(id));
  await accepted;
  await nothingMore(again);
  assert.deepEqual(answers, [1]);
  assert.equal(world.settled.length, 1);
});

test('commands wait for the connection, in their order', async (t) => {
  const world = await World.make(t);
  const first = world.client.request('ride.accept', accept);
  const second = world.client.request('ride.arrive', { key: RIDE });
  void world.client.start();
  const peer = await world.server.peer();
  await peer.next('hello');
  await nothingMore(peer).catch(() => {});
  peer.send(welcome(10));
  const one = await peer.next('cmd');
  await nothingMore(peer);
  assert.equal(one.op, 'ride.accept', 'the second is about the same ride: it waits');
  peer.send(res(one.id));
  await first;
  const two = await peer.next('cmd');
  assert.equal(two.op, 'ride.arrive');
  peer.send(res(two.id));
  await second;
});

test('what is not recorded is asked again when the engine says, with the same id', async (t) => {
  const { world, peer } = await World.open(t);
  const accepted = world.client.request('ride.accept', accept);
  const arrived = world.client.request('ride.arrive', { key: RIDE });
  const { id } = await peer.next('cmd');
  for (const code of ['overloaded', 'rate_limited', 'unavailable', 'not_owner']) {
    peer.send(err(id, code, 2_000));
    await nothingMore(peer);
    world.clock.advance(1_999);
    await nothingMore(peer);
    world.clock.advance(501);
    const again = await peer.next('cmd');
    assert.deepEqual([again.id, again.op], [id, 'ride.accept'], code);
  }
  peer.send(res(id));
  await accepted;
  const next = await peer.next('cmd');
  peer.send(err(next.id, 'illegal_transition'));
  await assert.rejects(arrived, { code: 'illegal_transition' });
});

test('an answer that does not come is asked for again', async (t) => {
  const { world, peer } = await World.open(t);
  const accepted = world.client.request('ride.accept', accept);
  const { id } = await peer.next('cmd');
  world.clock.advance(13_500);
  await peer.next('ping');
  peer.send({ t: 'pong' });
  await nothingMore(peer);
  world.clock.advance(1_500);
  assert.equal((await peer.next('cmd')).id, id);
  peer.send(res(id));
  await accepted;
});

test('a burst keeps to what the engine admits', async (t) => {
  const { world, peer } = await World.open(t);
  const ids = Array.from({ length: 60 }, () => uuidv7(world.clock));
  const rides = ids.map((key) => world.client.request('ride.decline', { key }));
  for (let at = 0; at < 40; at += 1) peer.send(res((await peer.next('cmd')).id));
  await nothingMore(peer);
  world.clock.advance(1_000);
  for (let at = 0; at < 20; at += 1) peer.send(res((await peer.next('cmd')).id));
  await Promise.all(rides);
});

test('too many commands, and one that is too large, are refused here', async (t) => {
  const world = await World.make(t, { queueMax: 2 });
  const kept = [1, 2].map(() => world.client.request('driver.offline', {}));
  await assert.rejects(world.client.request('driver.offline', {}), QueueFull);
  const note = 'x'.repeat(20_000);
  const d = { reason: 'other' as const, note };
  await assert.rejects(world.client.request('ride.cancel', { key: RIDE, d }), RangeError);
  world.client.stop();
  for (const one of kept) await assert.rejects(one, { name: 'Stopped', sent: false });
});

test('a command ends with its time, and says whether it was sent', async (t) => {
  const { world, peer } = await World.open(t);
  const sent = world.client.request('ride.accept', accept, { ttlMs: 3_000 });
  await peer.next('cmd');
  peer.cut();
  await world.is('waiting');
  const d = { pickup: PLACE, dropoff: PLACE };
  const unsent = world.client.request('ride.estimate', { d }, { ttlMs: 3_000 });
  const ends = [
    assert.rejects(sent, (error) => error instanceof Expired && error.sent),
    assert.rejects(unsent, (error) => error instanceof Expired && !error.sent),
  ];
  world.clock.advance(3_000);
  await Promise.all(ends);
  assert.deepEqual(world.client.pending, []);
  const told = world.settled.map(({ op, outcome }) => `${op} ${!outcome.ok && outcome.code}`);
  assert.deepEqual(told.sort(), ['ride.accept expired', 'ride.estimate expired']);
});

test('commands survive a reload, and their answers are told', async (t) => {
  const storage = new Shelf();
  const { world, peer } = await World.open(t, 10, { storage });
  const accepted = world.client.request('ride.accept', accept);
  const estimate = world.client.request('ride.estimate', { d: { pickup: PLACE, dropoff: PLACE } });
  for (const one of [accepted, estimate]) one.catch(() => {});
  const cmd = await peer.next('cmd');
  await until('the sent command on the shelf', () => storage.kept[0]?.sent);
  assert.equal(storage.kept.length, 1);
  assert.equal(storage.kept[0]!.id, cmd.id);
  const left = structuredClone(storage.kept);
  world.client.stop();
  await until('an empty shelf', () => storage.kept.length === 0);

  storage.kept = left;
  const next = new Client({ url: world.server.url, token: () => 't', clock: world.clock, storage });
  t.after(() => next.stop());
  const settled: string[] = [];
  next.on('settled', ({ id, outcome }) => settled.push(`${id} ${outcome.ok}`));
  void next.start();
  const again = await world.server.peer();
  await again.open(welcome(10));
  assert.deepEqual(await again.next('cmd'), cmd);
  again.send(res(cmd.id));
  await until('the answer', () => settled.length > 0);
  assert.deepEqual(settled, [`${cmd.id} true`]);
  await until('an empty shelf', () => storage.kept.length === 0);
});

test('a command is on the shelf before it is on the wire', async (t) => {
  let release = () => {};
  const slow = new Shelf();
  const storage: CommandStorage = {
    load: slow.load,
    save: async (commands) => {
      await new Promise<void>((resolve) => (release = resolve));
      slow.save(commands);
    },
  };
  const { world, peer } = await World.open(t, 10, { storage });
  world.client.request('ride.accept', accept).catch(() => {});
  await nothingMore(peer);
  release();
  await peer.next('cmd');
  assert.equal(slow.kept.length, 1);
  release();
});

test('storage that fails stops no command', async (t) => {
  const storage: CommandStorage = {
    load: () => JSON.parse('no JSON'),
    save: () => Promise.reject(new Error('full')),
  };
  const { world, peer } = await World.open(t, 10, { storage });
  const accepted = world.client.request('ride.accept', accept);
  peer.send(res((await peer.next('cmd')).id));
  await accepted;
  assert.ok(world.faults.length >= 2 && world.faults.every(({ code }) => code === 'storage'));
});

test('web storage keeps commands by name', () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, text: string) => void items.set(name, text),
  };
  const one = webStorage(storage, 'ibora.1');
  const command = { id: RIDE, op: 'ride.accept', at: 1, ttlMs: 2, sent: true };
  one.save([command]);
  assert.deepEqual(one.load(), [command]);
  assert.deepEqual(webStorage(storage, 'ibora.2').load(), []);
});

test('a refusal without an id ends the only command that it can mean', async (t) => {
  const { world, peer } = await World.open(t);
  const accepted = world.client.request('ride.accept', accept);
  await peer.next('cmd');
  peer.send({ t: 'err', code: 'malformed', retry: false });
  await assert.rejects(accepted, { name: 'Refused', code: 'malformed' });
});
