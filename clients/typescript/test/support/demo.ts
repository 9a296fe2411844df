// A real `ibora demo`, small, as a process of its own on a data directory of its own.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BIN, env, freePort, postmaster } from './engine.js';
import { until } from './until.js';

const START_MS = 90_000;

/** A demo city with free cars everywhere. */
export class Demo {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly dir: string,
  ) {}

  static async start(): Promise<Demo> {
    const dir = mkdtempSync(join(tmpdir(), 'ibora-demo-page-'));
    // The database's own user must be able to enter it where the tests run as root.
    chmodSync(dir, 0o755);
    const listen = `127.0.0.1:${await freePort()}`;
    const log = openSync(join(dir, 'log'), 'a');
    const settings = [`data.dir=${dir}`, 'log.level=warn', 'http.workers=1', 'actors.arbiters=1'];
    // It ends by itself, should a test that took too long not come to end it.
    const args = [
      'demo', '--for', '600', '--listen', listen,
      '--drivers', '30', '--passengers', '4', '--speed', '6',
      ...settings.flatMap((setting) => ['--set', setting]),
    ];
    const child = spawn(BIN!, args, { env, stdio: ['ignore', log, log] });
    closeSync(log);
    const demo = new Demo(`http://${listen}/`, child, dir);
    await until('a demo whose drivers are there', () => demo.isReady(), START_MS);
    return demo;
  }

  /** Ends it and takes its data away. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await ended;
    const data = join(this.dir, 'demo');
    await until('the database to end', () => !postmaster(data), START_MS);
    rmSync(this.dir, { recursive: true, force: true });
  }

  private async isReady(): Promise<boolean> {
    assert.equal(this.child.exitCode, null, readFileSync(join(this.dir, 'log'), 'utf8'));
    const live = await fetch(`${this.url}demo/live`).then((answer) => answer.json(), () => null);
    return (live as { numbers?: { idle: number } } | null)?.numbers?.idle! > 20;
  }
}
