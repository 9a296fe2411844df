// The visitor's session: who they are, the official client, and what the line does. The page shows
// it, with a log of what is said and two ways to spoil the line.

import { Client, systemClock, uuidv7, webStorage } from './client.js';
import { $, put } from './dom.js';
import { makeLine } from './line.js';
import { text } from './texts.js';

const KEPT_AS = 'ibora.demo';
const TUNNEL_S = 10;
/** What comes this soon after a session was resumed was missed before. */
const CAUGHT_UP_MS = 600;
const LOG_MAX = 40;

export const post = (path, body) => fetch(path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
});

/** Who this tab is in this run of the demo; the same after a reload. */
async function visitor(run) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? 'null');
  if (kept?.run === run) return kept;
  const { token } = await (await post('/demo/visitors', {})).json();
  const made = { run, token, device: uuidv7(systemClock) };
  sessionStorage.setItem(KEPT_AS, JSON.stringify(made));
  return made;
}

export class Session {
  /** The official client; `null` until `begin`. */
  client = null;
  #line = makeLine();
  #onChange;
  #tunnelEnds = 0;
  #lostAt = null;
  #missed = 0;
  /** How the last loss ended. */
  #back = '';

  constructor(onChange) {
    this.#onChange = onChange;
    $('tunnel').addEventListener('click', () => this.#tunnel());
    $('block').addEventListener('click', () => this.#block());
    document.addEventListener('visibilitychange', () => document.hidden || this.client?.wake());
    this.#render();
  }

  /** Whether commands get through. */
  get isUp() {
    return this.client?.state === 'open' || this.client?.state === 'polling';
  }

  /** Whether positions come. */
  get isLive() {
    return this.client?.state === 'open';
  }

  get isStopped() {
    return this.client?.state === 'stopped';
  }

  /** Makes the client; `prepare` hears its events from the first on. */
  async begin(run, prepare) {
    const { token, device } = await visitor(run);
    this.client = new Client({
      url: location.origin,
      token: () => token,
      ticket: true,
      device,
      app: 'demo-web/1.0',
      storage: webStorage(sessionStorage, `${KEPT_AS}.${run}`),
      WebSocket: this.#line.Socket,
      fetch: this.#line.fetch,
    });
    prepare(this.client);
    this.#watch();
    await this.client.start();
  }

  #watch() {
    const { client } = this;
    client.on('state', (state) => this.#turned(state));
    client.on('snapshot', ({ ride }) => this.#note('↓', `snapshot ${ride?.status ?? '–'}`));
    client.on('event', ({ seq, op, d }) => {
      this.#missed += 1;
      this.#note('↓', `evt ${seq} ${op} ${d.ride?.status ?? ''}`);
    });
    client.on('ephemeral', ({ op }) => this.#note('↓', `eph ${op}`));
    client.on('settled', ({ op, outcome }) => {
      this.#note('↑', `cmd ${op}: ${outcome.ok ? 'res' : outcome.code}`);
    });
    client.on('stopped', ({ code, word }) => this.#note('×', `${code} ${word}`));
    client.on('fault', ({ code }) => this.#note('!', code));
  }

  #turned(state) {
    this.#note('·', text.states[state]);
    if (state === 'waiting') this.#lostAt ??= performance.now();
    if (state === 'polling') this.#lostAt = null;
    if (state === 'open' && this.#lostAt !== null) this.#cameBack();
    if (state !== 'open') this.#back = '';
    this.#render();
    this.#onChange();
  }

  #cameBack() {
    const away = Math.round((performance.now() - this.#lostAt) / 1000);
    this.#lostAt = null;
    this.#missed = 0;
    let isFresh = false;
    const unsubscribe = this.client.on('snapshot', () => (isFresh = true));
    setTimeout(() => {
      unsubscribe();
      this.#back = isFresh ? text.fresh(away) : text.resumed(away, this.#missed);
      this.#render();
    }, CAUGHT_UP_MS);
  }

  /** The newest lines of what is said; one that is said again and again is counted. */
  #note(sign, words) {
    const last = $('log').firstElementChild;
    if (last?.dataset.words === words) {
      last.dataset.count = String(Number(last.dataset.count) + 1);
      last.lastElementChild.textContent = `×${last.dataset.count}`;
      return;
    }
    const row = document.createElement('li');
    Object.assign(row.dataset, { words, count: '1' });
    for (const [name, said] of [['i', sign], ['span', words], ['em', '']]) {
      row.append(Object.assign(document.createElement(name), { textContent: said }));
    }
    $('log').prepend(row);
    if ($('log').childElementCount > LOG_MAX) $('log').lastElementChild.remove();
  }

  #tunnel() {
    if (this.#line.inTunnel) return;
    this.#tunnelEnds = performance.now() + TUNNEL_S * 1000;
    this.#line.enterTunnel();
    const ticking = setInterval(() => {
      if (performance.now() >= this.#tunnelEnds) {
        clearInterval(ticking);
        this.#line.leaveTunnel();
        this.client.wake();
      }
      this.#render();
    }, 250);
    this.#render();
  }

  #block() {
    this.#line.blockSockets(!this.#line.withoutSockets);
    if (!this.#line.withoutSockets) this.client.wake();
    this.#render();
  }

  #render() {
    const { inTunnel, withoutSockets } = this.#line;
    const state = inTunnel ? 'inTunnel' : (this.client?.state ?? 'idle');
    $('line').dataset.state = state;
    put('line-state', text.states[state]);
    const said = {
      inTunnel: text.lineTunnel, open: this.#back || text.lineOpen, polling: text.linePolling,
      idle: '', stopped: '',
    };
    put('line-said', said[state] ?? text.lineWaiting);
    const left = Math.max(1, Math.ceil((this.#tunnelEnds - performance.now()) / 1000));
    put('tunnel', inTunnel ? text.tunnelOut(left) : text.tunnel);
    put('block', withoutSockets ? text.unblock : text.block);
    $('block').setAttribute('aria-pressed', String(withoutSockets));
    for (const name of ['tunnel', 'block']) $(name).disabled = !this.client;
  }
}
