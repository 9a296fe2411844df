// The built modules in a real browser, as they are: no bundler, no polyfill, another origin than
// the engine's.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';

import { Browser, withoutBrowser } from './support/browser.js';
import { Engine, withoutEngine } from './support/engine.js';

const SKIP = { skip: withoutEngine || withoutBrowser };
const BUILT = new URL('../src/', import.meta.url);
const PAGE = `<!doctype html><title>test</title><script type="module">
  import * as ibora from '/client/index.js';
  globalThis.ibora = ibora;
</script>`;

let page: Server;
let engine: Engine;
let browser: Browser;

before(async () => {
  if (SKIP.skip) return;
  page = createServer((request, response) => {
    const file = /^\/client\/([a-z]+\.js)$/.exec(request.url ?? '')?.[1];
    const kind = file ? 'text/javascript' : 'text/html';
    response.writeHead(200, { 'content-type': `${kind}; charset=utf-8` });
    response.end(file ? readFileSync(new URL(file, BUILT)) : PAGE);
  });
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  engine = await Engine.start(0, 2, [`http.allowed_origins=["${origin()}"]`]);
  browser = await Browser.start();
  await browser.visit(`${origin()}/`);
});
after(async () => {
  await browser?.stop();
  await engine?.stop();
  page?.close();
});

const origin = () => `http://127.0.0.1:${(page.address() as AddressInfo).port}`;

/** What every page begins with: a client of the passenger `at` as `client`. */
function client(at: number, more = ''): string {
  const { token, user } = engine.person('passenger', at);
  const where = `url: ${JSON.stringify(engine.url)}, token: () => ${JSON.stringify(token)}`;
  return `
    const storage = ibora.webStorage(sessionStorage, 'ibora.${user}');
    const client = new ibora.Client({ ${where}, ${more} });`;
}

const TRIP = `{ pickup: { lat: -23.5503, lng: -46.6339 }, dropoff: { lat: -23.56, lng: -46.65 } }`;

test('a page opens a session by ticket and asks for a price', SKIP, async () => {
  type Told = { state: string; fares: string[]; snapshot: object };
  const told = await browser.run<Told>(`(async () => {
    ${client(0, 'ticket: true')}
    let snapshot;
    client.on('snapshot', (truth) => (snapshot = truth));
    void client.start();
    const { quotes } = await client.request('ride.estimate', { d: ${TRIP} });
    const { state } = client;
    client.stop();
    return { state, fares: quotes.map(({ fare }) => fare), snapshot };
  })()`);
  assert.equal(told.state, 'open');
  assert.ok(told.fares.length > 1 && told.fares.every((fare) => /^\d+\.\d\d$/.test(fare)));
  assert.deepEqual(Object.keys(told.snapshot).sort(), ['passenger', 'payment', 'ride']);
});

test('a ride that was asked for before a reload is answered after it, once', SKIP, async () => {
  const order = `{ ...${TRIP}, category: 'economy', payment_method: 'cash' }`;
  // Not started: as if the page was closed before the line was back.
  await browser.run(`(() => {
    ${client(1, 'storage')}
    void client.request('ride.request', { d: ${order} });
  })()`);
  await browser.reload();
  const settled = await browser.run<{ op: string; outcome: { ok: boolean; d: { id: string } } }>(`
    new Promise((resolve) => {
      ${client(1, 'storage')}
      client.on('settled', resolve);
      void client.start();
    })`);
  assert.deepEqual([settled.op, settled.outcome.ok], ['ride.request', true]);
  const { body } = await engine.get('/v1/me', engine.person('passenger', 1));
  assert.equal(body.active_ride.id, settled.outcome.d.id);
});
