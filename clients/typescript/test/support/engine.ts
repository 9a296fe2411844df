// The real engine, as a process of its own on a data directory of its own. `IBORA_BIN` names it.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { WebSocket } from 'ws';

import { faults } from './document.js';
import { until } from './until.js';

/** The program, if there is one to test against. */
export const BIN = process.env['IBORA_BIN'];

/** Why a test is skipped; `false` where it is not. */
export const withoutEngine = BIN ? false : 'IBORA_BIN names no engine';

/** Somebody whom the engine knows. */
export interface Person {
  readonly user: string;
  readonly role: 'driver' | 'passenger';
  readonly token: string;
}

const START_MS = 60_000;
/** The engine takes every `IBORA_*` for a setting, `IBORA_BIN` too. */
export const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('IBORA_')),
);

export class Engine {
  #child: ChildProcess | null = null;
  readonly #dir: string;

  private constructor(
    readonly url: string,
    readonly people: readonly Person[],
    private readonly settings: readonly string[],
    dir: string,
  ) {
    this.#dir = dir;
  }

  /** Starts an engine that knows so many drivers and passengers. */
  static async start(drivers: number, passengers: number, more: string[] = []): Promise<Engine> {
    const dir = mkdtempSync(join(tmpdir(), 'ibora-client-'));
    // The database's own user must be able to enter it where the tests run as root.
    chmodSync(dir, 0o755);
    const settings = [
      `data.dir=${dir}`, 'seed.enabled=true', 'log.level=warn', 'http.workers=1',
      'actors.arbiters=1', 'limits.enabled=false', ...more,
    ].flatMap((setting) => ['--set', setting]);
    const out = join(dir, 'people');
    const count = ['--drivers', String(drivers), '--passengers', String(passengers)];
    const args = ['seed', ...settings, ...count, '--out', out];
    const seeded = spawnSync(BIN!, args, { env, encoding: 'utf8' });
    assert.equal(seeded.status, 0, seeded.stderr);
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    const people = lines.map((line) => JSON.parse(line) as Person);
    const url = `http://127.0.0.1:${await freePort()}`;
    const engine = new Engine(url, people, settings, dir);
    await engine.launch();
    return engine;
  }

  person(role: Person['role'], at = 0): Person {
    return this.people.filter((person) => person.role === role)[at]!;
  }

  /** Starts it, or starts it again on the same data and port. */
  async launch(): Promise<void> {
    const log = openSync(join(this.#dir, 'log'), 'a');
    const listen = `http.listen=${this.url.slice('http://'.length)}`;
    const args = ['serve', ...this.settings, '--set', listen];
    this.#child = spawn(BIN!, args, { env, stdio: ['ignore', log, log] });
    closeSync(log);
    await until('a ready engine', () => this.isReady(), START_MS);
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** SIGTERM: an orderly end. */
  async terminate(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Ends it and takes its data away. */
  async stop(): Promise<void> {
    if (this.#child) await this.terminate();
    const pid = postmaster(this.#dir);
    if (pid) {
      process.kill(pid, 'SIGINT');
      await until('the database to end', () => !postmaster(this.#dir), START_MS);
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** What the engine answers to a person. */
  async get(path: string, person?: Person): Promise<{ status: number; body: any }> {
    const headers = new Headers();
    if (person) headers.set('authorization', `Bearer ${person.token}`);
    const response = await fetch(this.url + path, { headers });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
  }

  private async isReady(): Promise<boolean> {
    assert.equal(this.#child?.exitCode, null, readFileSync(join(this.#dir, 'log'), 'utf8'));
    return fetch(`${this.url}/ready`).then((answer) => answer.ok, () => false);
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}

/** The database's process, where one was left running. */
export function postmaster(dir: string): number | null {
  try {
    return Number(readFileSync(join(dir, 'pgdata', 'postmaster.pid'), 'utf8').split('\n')[0]);
  } catch {
    return null;
  }
}

/**
 * A port that nobody listens on, below those that a system gives to clients: while an engine is
 * away, one of them could otherwise get the engine's own.
 */
export function freePort(): Promise<number> {
  const server = createServer();
  const port = 10_000 + Math.floor(Math.random() * 10_000);
  return new Promise((resolve) => {
    server.once('error', () => resolve(freePort()));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)));
  });
}

/** Frames of real sessions that do not fit docs/asyncapi.json. */
export const misfits: string[] = [];

/** WebSockets that look at every frame, and that tests can break. */
export class Watched extends WebSocket {
  static readonly open = new Set<Watched>();
  /** How many frames were looked at. */
  static frames = 0;

  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.on('message', (data) => note(faults('ServerFrame', JSON.parse(String(data)))));
    this.on('open', () => Watched.open.add(this));
    this.on('close', () => Watched.open.delete(this));
  }

  override send(data: any): void {
    note(faults('ClientFrame', JSON.parse(String(data))));
    super.send(data);
  }
}

function note(fault: string): void {
  Watched.frames += 1;
  if (fault) misfits.push(fault);
}
