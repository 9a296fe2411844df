// Positions: batched, acknowledged, thinned out, never dated wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { offerMade, welcome } from './support/server.js';
import { World } from './support/world.js';

const place = (at: number) => ({
  lat: -23.55 - at / 10_000, lng: -46.63, accuracy_m: 5, speed_mps: 11.54, bearing_deg: null,
});

/** Reports a position a second, `count` times. */
function drive(world: World, count: number): void {
  for (let at = 0; at < count; at += 1) {
    world.client.report(place(at));
    world.clock.advance(1_000);
  }
}

test('positions go out together, at most as often as was asked for', async (t) => {
  const { world, peer } = await World.open(t);
  world.client.report(place(0));
  world.clock.advance(0);
  const first = await peer.next('tel');
  const point = [world.clock.now(), -23.55, -46.63, 5, 11.5, -1];
  assert.deepEqual(first, { t: 'tel', n: 1, pts: [point] });
  drive(world, 4);
  const batches = [await peer.next('tel'), await peer.next('tel')];
  assert.deepEqual(batches.map(({ n, pts }) => [n, pts.length]), [[2, 2], [3, 2]]);
});

test('what was not acknowledged is sent again after a loss', async (t) => {
  const { world, peer } = await World.open(t);
  drive(world, 5);
  const batches = [await peer.next('tel'), await peer.next('tel'), await peer.next('tel')];
  peer.send({ t: 'tack', n: 1 }, offerMade(11));
  await peer.next('ack');
  peer.cut();
  const again = await world.reconnected();
  await again.open(welcome(11, { recovered: true }));
  await world.is('open');
  world.clock.advance(2_000);
  const { n, pts } = await again.next('tel');
  const lost = batches.slice(1).flatMap((batch) => batch.pts);
  assert.deepEqual([n, pts.slice(0, lost.length)], [4, lost]);
  assert.equal(pts.length, lost.length + 1, 'and what was not sent yet');
});

test('a long tunnel leaves a bounded, thinned trace that ends with the newest', async (t) => {
  const { world, peer } = await World.open(t, 10, { longPollAfter: Infinity });
  peer.cut();
  await world.is('waiting');
  world.server.refuses = true;
  drive(world, 400);
  const newest = world.clock.now() - 1_000;
  world.server.refuses = false;
  const again = await world.passing('a session', () => world.server.peers.take());
  await again.open(welcome(10, { recovered: true }));
  await world.is('open');
  world.clock.advance(2_000);
  const { pts } = await again.next('tel');
  assert.ok(pts.length <= 100 && pts.length > 20, String(pts.length));
  assert.equal(pts.at(-1)![0], newest);
  const isDated = pts.every(([ms]) => world.clock.now() - ms! < 120_000);
  assert.ok(isDated, 'older ones would be dated by their arrival');
});

test('an engine that wants fewer gets them later', async (t) => {
  const { world, peer } = await World.open(t);
  world.client.report(place(0));
  world.clock.advance(0);
  const { pts } = await peer.next('tel');
  peer.send({ t: 'err', code: 'rate_limited', retry: true, retry_ms: 4_000 }, offerMade(11));
  await peer.next('ack');
  world.clock.advance(3_999);
  assert.equal(peer.frames.size, 0);
  world.clock.advance(1);
  assert.deepEqual((await peer.next('tel')).pts, pts);
});

test('what is no position is passed over', async (t) => {
  const { world, peer } = await World.open(t);
  for (const lat of [NaN, Infinity, 91, -90.1]) world.client.report({ lat, lng: 0 });
  const odd = { lat: 1, lng: 2, accuracy_m: -7, speed_mps: NaN, bearing_deg: 361 };
  world.client.report({ ...odd, at: 5e14 });
  world.client.report(odd);
  world.clock.advance(0);
  assert.deepEqual((await peer.next('tel')).pts, [[world.clock.now(), 1, 2, -1, -1, -1]]);
});

test('a passenger reports none', async (t) => {
  const world = await World.make(t);
  void world.client.start();
  const peer = await world.server.peer();
  const hello = welcome(10, { id: 'pax:0199aa3d-11f0-7c55-8e0a-5b6c7d8e9f01' });
  const passenger = { id: '0199aa3d-11f0-7c55-8e0a-5b6c7d8e9f01', name: 'Ana', rating: 5 };
  await peer.open({ ...hello, snapshot: { passenger, ride: null, payment: null } });
  await world.is('open');
  assert.throws(() => world.client.report(place(0)), /drivers/);
});
