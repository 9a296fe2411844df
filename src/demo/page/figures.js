// The figures of the demo: what people do, how the engine does, and the last rides.

import { $, put } from './dom.js';
import { locale, money, text } from './texts.js';

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenth =
  new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const seconds = (value) => (value === null ? '–' : `${whole.format(value)} s`);
const ms = (value) =>
  (value === null ? '–' : `${(value < 10 ? tenth : whole).format(value)} ms`);

/** The engine's numbers, and what the drivers do. */
export function showNumbers(n, drivers) {
  put('speed', `${n.speed}×`);
  put('active', whole.format(n.active));
  put('searching', whole.format(n.searching));
  put('completed', whole.format(n.completed));
  const [busy, all] = [n.drivers - n.idle, n.drivers].map((count) => whole.format(count));
  put('fleet-count', `${busy} / ${all} ${text.fleetOf}`);
  put('wait50', seconds(n.wait_p50_s));
  put('wait90', seconds(n.wait_p90_s));
  put('pickup50', seconds(n.pickup_p50_s));
  put('paid-out', money.format(n.paid_out_centavos / 100));
  put('payouts', `${whole.format(n.payouts)} ${text.payouts}`);
  put('accept50', ms(n.accept_p50_ms));
  put('accept99', ms(n.accept_p99_ms));
  put('commit', ms(n.commit_ms));
  put('batch', n.batch === null ? '–' : tenth.format(n.batch));
  put('sockets', whole.format(n.sockets));
  put('frames', `${whole.format(n.frames_per_s)} ${text.framesPerSecond}`);
  put('offers', whole.format(n.offers));
  put('lost', `${whole.format(n.lost)} ${text.lost}`);
  const rest = [[n.canceled, text.canceled], [n.no_driver, text.noDriver]];
  const some = rest.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  put('rest', some.join(', '));
  const counts = [0, 0, 0, 0, 0, 0];
  for (const { does } of drivers) counts[does] += 1;
  for (const part of $('bar').children) part.style.flexGrow = counts[Number(part.className[1])];
}

let told = 0;

/** The last rides, the newest first. */
export function showFeed(lines) {
  const list = $('feed');
  const newest = lines.length ? lines[0].n : 0;
  if (newest === told) return;
  const rows = lines.map((line) => {
    const row = document.createElement('li');
    row.className = line.outcome + (line.n > told ? ' new' : '');
    const [dot, way, end] = ['i', 'span', 'em'].map((name) => document.createElement(name));
    way.textContent = `${line.from} → ${line.to}`;
    const failed = line.outcome === 'canceled' ? text.canceled : text.noDriver;
    end.textContent = line.outcome === 'completed' ? money.format(Number(line.fare)) : failed;
    row.append(dot, way, end);
    return row;
  });
  list.replaceChildren(...rows);
  told = newest;
}
