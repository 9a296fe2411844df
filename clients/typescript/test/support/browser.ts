// A headless Chromium, spoken to over its own debugging protocol.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { WebSocket } from 'ws';

import { until } from './until.js';

const CHROMIUM = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium';

/** Why a test is skipped; `false` where it is not. */
export const withoutBrowser = existsSync(CHROMIUM) ? false : 'there is no Chromium here';

const START_MS = 60_000;

interface Answer {
  readonly id: number;
  readonly result?: any;
  readonly error?: { readonly message: string };
}

/** What the browser says by itself. */
interface Said {
  readonly method: string;
  readonly params: any;
}

/** One browser with one page. */
export class Browser {
  /** What the page's console would show in red: errors of scripts, of the policy, of loading. */
  readonly errors: string[] = [];
  #next = 1;
  readonly #waiting = new Map<number, (answer: Answer) => void>();

  private constructor(
    private readonly child: ChildProcess,
    private readonly socket: WebSocket,
    private readonly profile: string,
  ) {
    socket.on('message', (data) => {
      const said = JSON.parse(String(data)) as Answer | Said;
      if ('method' in said) return this.note(said);
      this.#waiting.get(said.id)?.(said);
      return this.#waiting.delete(said.id);
    });
  }

  static async start(): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'ibora-browser-'));
    const child = spawn(
      CHROMIUM,
      [
        // Its sandbox needs rights that containers lack; it visits nothing but this test's page.
        '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
        '--no-first-run', '--window-size=1280,900',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
        '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr!.on('data', (part) => (said += String(part)));
    const port = await until('a browser', () => {
      assert.equal(child.exitCode, null, said);
      return /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(said)?.[1];
    }, START_MS);
    const page = await until('a page', async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
      const pages = (await answer.json()) as { type: string; webSocketDebuggerUrl: string }[];
      return pages.find(({ type }) => type === 'page')?.webSocketDebuggerUrl;
    }, START_MS);
    const socket = new WebSocket(page);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const browser = new Browser(child, socket, profile);
    for (const domain of ['Runtime', 'Log']) await browser.call(`${domain}.enable`);
    return browser;
  }

  private note({ method, params }: Said): void {
    const isError =
      method === 'Runtime.exceptionThrown' ||
      (method === 'Runtime.consoleAPICalled' && params.type === 'error') ||
      (method === 'Log.entryAdded' && params.entry.level === 'error');
    if (isError) this.errors.push(JSON.stringify(params));
  }

  /** Opens a page and waits until its scripts have run. */
  async visit(url: string): Promise<void> {
    await this.call('Page.navigate', { url });
    const isThere = 'document.readyState === "complete"';
    await until('the page', () => this.run<boolean>(isThere), START_MS);
  }

  /** Loads the page again. */
  async reload(): Promise<void> {
    await this.run('globalThis.isOld = true');
    await this.call('Page.reload');
    const isNew = 'globalThis.isOld !== true && document.readyState === "complete"';
    await until('the page again', () => this.run<boolean>(isNew).catch(() => false), START_MS);
  }

  /** The value of an expression in the page; a promise is waited for. */
  async run<T>(expression: string): Promise<T> {
    const how = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', how);
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value as T;
  }

  /** A click at a point of the window. */
  async click(x: number, y: number): Promise<void> {
    for (const type of ['mousePressed', 'mouseReleased']) {
      const how = { type, x, y, button: 'left', clickCount: 1 };
      await this.call('Input.dispatchMouseEvent', how);
    }
  }

  /** A click in the middle of an element. */
  async press(selector: string): Promise<void> {
    const [x, y] = await this.run<[number, number]>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: 'nearest' });
      const { x, y, width, height } = element.getBoundingClientRect();
      return [x + width / 2, y + height / 2];
    })()`);
    await this.click(x, y);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    await Promise.race([this.call('Browser.close'), ended]);
    await ended;
    this.socket.terminate();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  private call(method: string, params: object = {}): Promise<any> {
    const id = this.#next++;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error) reject(new Error(error.message));
        else resolve(result);
      });
    });
  }
}
