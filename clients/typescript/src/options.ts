// What an app may choose, and what holds where it does not.

import type { TicketSource, TokenSource } from './credentials.js';
import { uuidv7 } from './id.js';
import type { SocketConstructor } from './socket.js';
import type { CommandStorage } from './storage.js';
import { systemClock, type Clock } from './time.js';

export interface ClientOptions {
  /** Where the engine is, such as `https://api.example.com`. */
  readonly url: string;
  /** Gives the access token. Needed for all but a page that gets tickets from elsewhere. */
  readonly token?: TokenSource;
  /**
   * Sessions begin with a ticket, not with the token. `true`: tickets are fetched from the engine
   * with the token.
   */
  readonly ticket?: true | TicketSource;
  /** UUID of this installation of the app; keep it. Else one is made for this client. */
  readonly device?: string;
  /** Name and version of the app, such as `driver-web/1.4.0`. */
  readonly app?: string;
  /** For platforms without one; Node before 22 takes that of the package `ws` by itself. */
  readonly WebSocket?: SocketConstructor;
  readonly fetch?: typeof globalThis.fetch;
  /** Where commands survive a reload. Else they live as long as the client. */
  readonly storage?: CommandStorage;
  /** Commands that may wait; 100. */
  readonly queueMax?: number;
  /** How long commands may wait for their answer; 12 hours, estimates 30 s. */
  readonly commandTtlMs?: number;
  /** WebSockets in a row that do not open before long polls stand in; 3. `Infinity`: never. */
  readonly longPollAfter?: number;
  /** How often a WebSocket is tried while long polls stand in; a minute. */
  readonly webSocketEveryMs?: number;
  /** How often positions are sent; 2 s. */
  readonly positionsEveryMs?: number;
  /** For tests. */
  readonly clock?: Clock;
}

/** The options with nothing left open. */
export interface Settings {
  readonly clock: Clock;
  /** Of REST. */
  readonly base: string;
  /** Of sessions. */
  readonly url: string;
  readonly device: string;
  readonly app: string | undefined;
  readonly WebSocket: SocketConstructor | undefined;
  readonly fetch: typeof globalThis.fetch;
  readonly storage: CommandStorage | undefined;
  readonly queueMax: number;
  readonly commandTtlMs: number;
  readonly estimateTtlMs: number;
  readonly pollAfter: number;
  readonly retryMs: number;
  readonly positionsEveryMs: number;
}

/** @throws TypeError for a `url` that is none, or where there is neither token nor ticket. */
export function defaults(options: ClientOptions): Settings {
  const { token, ticket, clock = systemClock } = options;
  if (!token && typeof ticket !== 'function') throw new TypeError('a token or a source of tickets');
  const base = new URL(options.url).href.replace(/\/+$/, '');
  return {
    clock,
    base,
    url: `${base.replace(/^http/, 'ws')}/v1/session`,
    device: options.device ?? uuidv7(clock),
    app: options.app,
    WebSocket: options.WebSocket,
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    storage: options.storage,
    queueMax: options.queueMax ?? 100,
    commandTtlMs: options.commandTtlMs ?? 12 * 3_600_000,
    estimateTtlMs: Math.min(options.commandTtlMs ?? Infinity, 30_000),
    pollAfter: options.longPollAfter ?? 3,
    retryMs: options.webSocketEveryMs ?? 60_000,
    positionsEveryMs: options.positionsEveryMs ?? 2_000,
  };
}
