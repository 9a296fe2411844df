// A client, a scripted engine, a clock that stands still, and everything the client tells.

import type { TestContext } from 'node:test';

import { Client, type ClientOptions, type Fault, type Settled } from '../../src/index.js';
import type { Evt, Snapshot, StopReason, State } from '../../src/index.js';
import { FakeClock } from './clock.js';
import { Peer, ScriptedServer, welcome } from './server.js';
import { until } from './until.js';

export class World {
  readonly clock = new FakeClock();
  readonly events: Evt[] = [];
  readonly snapshots: Snapshot[] = [];
  readonly states: State[] = [];
  readonly settled: Settled[] = [];
  readonly faults: Fault[] = [];
  readonly stops: StopReason[] = [];
  /** Whether each token that was asked for was to be a new one. */
  readonly tokens: boolean[] = [];
  readonly client: Client;

  private constructor(
    readonly server: ScriptedServer,
    options: Partial<ClientOptions>,
  ) {
    this.client = new Client({
      url: server.url,
      token: (renew) => `token-${this.tokens.push(renew)}`,
      clock: this.clock,
      ...options,
    });
    this.client.on('event', (event) => this.events.push(event));
    this.client.on('snapshot', (snapshot) => this.snapshots.push(snapshot));
    this.client.on('state', (state) => this.states.push(state));
    this.client.on('settled', (settled) => this.settled.push(settled));
    this.client.on('fault', (fault) => this.faults.push(fault));
    this.client.on('stopped', (reason) => this.stops.push(reason));
  }

  /** A client that was not started. */
  static async make(t: TestContext, options: Partial<ClientOptions> = {}): Promise<World> {
    const server = await ScriptedServer.start();
    const world = new World(server, options);
    t.after(async () => {
      world.client.stop();
      await server.stop();
    });
    return world;
  }

  /** A client with an open session whose stream stands at `seq`. */
  static async open(
    t: TestContext,
    seq = 10,
    options: Partial<ClientOptions> = {},
  ): Promise<{ world: World; peer: Peer }> {
    const world = await World.make(t, options);
    void world.client.start();
    const peer = await world.server.peer();
    await peer.open(welcome(seq));
    await world.is('open');
    return { world, peer };
  }

  is(state: State): Promise<boolean> {
    return until(`the state ${state}`, () => this.client.state === state);
  }

  /** Lets time pass until there is something. */
  passing<T>(what: string, look: () => T | undefined | null | false, stepMs = 250): Promise<T> {
    return until(what, () => {
      const found = look();
      if (!found) this.clock.advance(stepMs);
      return found;
    });
  }

  /** The next session, as soon as the client is to try again. */
  async reconnected(): Promise<Peer> {
    await this.is('waiting');
    this.clock.advance(this.clock.next);
    return this.server.peer();
  }
}
