// The demo's page in a real browser: a visitor rides by its buttons, over this client.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser, withoutBrowser } from './support/browser.js';
import { Demo } from './support/demo.js';
import { withoutEngine } from './support/engine.js';
import { until } from './support/until.js';

const SKIP = { skip: withoutEngine || withoutBrowser };
const PATIENCE_MS = 90_000;

let demo: Demo;
let browser: Browser;

before(async () => {
  if (SKIP.skip) return;
  demo = await Demo.start();
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await demo?.stop();
});

const step = () => browser.run<string>(`document.getElementById('ride').dataset.step`);
const line = () => browser.run<string>(`document.getElementById('line').dataset.state`);
const said = (id: string) => browser.run<string>(`document.getElementById('${id}').textContent`);

const isStep = (...wanted: string[]) =>
  until(`a ride that is ${wanted}`, async () => wanted.includes(await step()), PATIENCE_MS);
const isLine = (wanted: string) =>
  until(`a line that is ${wanted}`, async () => (await line()) === wanted, PATIENCE_MS);

/** Presses the main button once it can be pressed. */
async function go(): Promise<void> {
  const isThere = `(({ hidden, disabled }) => !hidden && !disabled)(document.getElementById('main'))`;
  await until('a button to press', () => browser.run<boolean>(isThere), PATIENCE_MS);
  await browser.press('#main');
}

/** Opens the page as a visitor who was never here. */
async function arrive(): Promise<void> {
  await browser.visit(demo.url);
  await browser.run('sessionStorage.clear()');
  await browser.reload();
  await isLine('open');
}

test('a visitor rides through a tunnel and over a reload', SKIP, async () => {
  await arrive();
  // Two places in the middle of the map.
  await browser.click(620, 330);
  await browser.click(640, 390);
  await until('a price', async () => /R\$.?\d+[.,]\d\d/.test(await said('fare')), PATIENCE_MS);
  await go();
  await isStep('accepted', 'arriving', 'arrived');
  const plate = await said('plate');
  assert.match(plate, /^[A-Z]{3}\d[A-Z]\d\d$/);
  assert.match(await said('pin'), /^\d{4}$/);

  await browser.press('#tunnel');
  await isLine('inTunnel');
  await isLine('open');
  const isBack = async () => /^(Resumed|Retomada) .*\.$/.test(await said('line-said'));
  await until('word of the resumed session', isBack, PATIENCE_MS);
  assert.equal(await said('plate'), plate, 'the same car');

  await browser.reload();
  await isStep('accepted', 'arriving', 'arrived');
  await isStep('arrived');
  await go();
  await isStep('started');
  await isStep('completed');
  await browser.press('#stars button:nth-child(4)');
  const given = `document.querySelectorAll('#stars .given').length`;
  const isRated = async () => (await browser.run<number>(given)) === 4;
  await until('four stars', isRated, PATIENCE_MS);
  assert.deepEqual(browser.errors, []);
});

test('where no WebSocket opens, it requests and cancels all the same', SKIP, async () => {
  await arrive();
  await browser.press('#block');
  await isLine('polling');
  // As with a keyboard: by the lists.
  for (const [id, at] of [['from', 4], ['to', 5]] as const) {
    await browser.run(`(() => {
      const list = document.getElementById('${id}');
      list.selectedIndex = ${at};
      list.dispatchEvent(new Event('change', { bubbles: true }));
    })()`);
  }
  await go();
  await isStep('searching', 'accepted', 'arriving', 'arrived');
  await browser.press('#quiet');
  await isStep('canceled');
  assert.equal(await line(), 'polling');
  await browser.press('#block');
  await isLine('open');
  assert.deepEqual(browser.errors, []);
});
