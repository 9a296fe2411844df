// One session over one WebSocket: hello, welcome, frames, signs of life, newer tokens, the end.
// What the frames mean is its host's business.

import { CLOSE } from './backoff.js';
import type { Credentials } from './credentials.js';
import { SignedOut } from './errors.js';
import { Heartbeat } from './heartbeat.js';
import type { ClientFrame, Hello, ServerFrame, Welcome } from './schema.js';
import { PROTOCOL, abandon, type SocketConstructor, type SocketLike } from './socket.js';
import { Alarm, type Clock } from './time.js';

/** How a session ended. */
export interface End {
  readonly code: number;
  readonly word: string;
  /** When the welcome came, if it did. */
  readonly welcomedAt: number | null;
}

/** What a session tells. After `ended` it tells nothing more. */
export interface SessionHost {
  welcomed(welcome: Welcome): void;
  /** Any frame but those that concern the session alone. */
  received(frame: ServerFrame): void;
  ended(end: End): void;
}

export interface SessionParts {
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly hello: Hello;
  readonly url: string;
  readonly WebSocket: SocketConstructor;
}

/** Time for the WebSocket to open, and again for the welcome to come. */
const OPENING_MS = 10_000;
/** The token is refreshed this long before its end, or in the last fifth of a short life. */
const REFRESH_EARLY_MS = 60_000;
/** Between two refreshes, for a source that has nothing newer. */
const REFRESH_EVERY_MS = 5_000;
/** Bytes that may wait in the socket before what can wait does. */
const BUFFERED_MAX = 32_768;

/** A session; over as soon as it was made if its WebSocket is. */
export class Session {
  readonly #socket: SocketLike;
  readonly #opening: Alarm;
  readonly #refresh: Alarm;
  #heartbeat: Heartbeat | null = null;
  #welcomedAt: number | null = null;
  #over = false;

  constructor(
    private readonly parts: SessionParts,
    private readonly host: SessionHost,
  ) {
    const { clock } = parts;
    this.#opening = new Alarm(clock, () => this.end(CLOSE.broken, 'opening_timeout'));
    this.#refresh = new Alarm(clock, () => void this.refresh());
    this.#socket = new parts.WebSocket(parts.url, [PROTOCOL]);
    this.#opening.set(OPENING_MS);
    this.#socket.onopen = () => this.onOpen();
    this.#socket.onmessage = ({ data }: { data: unknown }) => this.onText(data);
    this.#socket.onerror = () => {};
    this.#socket.onclose = (event: { code: number; reason: string }) => {
      this.over(event.code, event.reason || 'closed');
    };
  }

  /** Sends a frame of an open session. */
  send(frame: ClientFrame): void {
    if (this.#over) return;
    this.#heartbeat?.sent();
    this.#socket.send(JSON.stringify(frame));
  }

  /** Whether so much waits in the socket that what can wait should. */
  get isCongested(): boolean {
    return this.#socket.bufferedAmount > BUFFERED_MAX;
  }

  /** Whether an offer or a ride is open. */
  set active(active: boolean) {
    if (this.#heartbeat) this.#heartbeat.active = active;
  }

  /** Asks whether the engine is there. */
  probe(): void {
    this.#heartbeat?.probe();
  }

  /** Ends the session from this side, without waiting for the other. */
  end(code: number, word: string): void {
    if (this.#over) return;
    abandon(this.#socket, word);
    this.over(code, word);
  }

  /** The engine did not take the last token. */
  refreshRefused(): void {
    this.parts.credentials.outdated();
    this.#refresh.set(REFRESH_EVERY_MS);
  }

  private onOpen(): void {
    this.#opening.set(OPENING_MS);
    this.#socket.send(JSON.stringify(this.parts.hello));
  }

  private onText(text: unknown): void {
    const frame = parsed(text);
    if (!frame || this.#over) return;
    this.#heartbeat?.heard();
    switch (frame.t) {
      case 'welcome':
        return this.onWelcome(frame);
      case 'ping':
        return this.send({ t: 'pong', ...(frame.ts !== undefined && { ts: frame.ts }) });
      case 'pong':
        return undefined;
      case 'auth':
        return this.refreshBefore(frame.auth_ttl_s, REFRESH_EVERY_MS);
      default:
        return this.#heartbeat ? this.host.received(frame) : undefined;
    }
  }

  private onWelcome(welcome: Welcome): void {
    if (this.#heartbeat) return;
    this.#opening.clear();
    this.#welcomedAt = this.parts.clock.now();
    this.#heartbeat = new Heartbeat(this.parts.clock, welcome.hb, {
      ping: () => this.send({ t: 'ping', ts: this.parts.clock.now() }),
      dead: () => this.end(CLOSE.broken, 'silent'),
    });
    this.refreshBefore(welcome.auth_ttl_s, 0);
    this.host.welcomed(welcome);
  }

  private refreshBefore(ttlS: number, leastMs: number): void {
    if (!this.parts.credentials.hasToken) return;
    const early = Math.min(REFRESH_EARLY_MS, ttlS * 200);
    this.#refresh.set(Math.max(leastMs, ttlS * 1000 - early));
  }

  private async refresh(): Promise<void> {
    try {
      const bearer = await this.parts.credentials.bearer(true);
      this.send({ t: 'auth', bearer });
    } catch (error) {
      // Whoever is signed out ends with this token; a source that failed is asked again.
      if (!(error instanceof SignedOut) && !this.#over) this.#refresh.set(REFRESH_EVERY_MS);
    }
  }

  private over(code: number, word: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#opening.clear();
    this.#refresh.clear();
    this.#heartbeat?.stop();
    this.host.ended({ code, word, welcomedAt: this.#welcomedAt });
  }
}

/** A frame; `null` for what is none, which a later engine may send. */
function parsed(text: unknown): ServerFrame | null {
  if (typeof text !== 'string') return null;
  try {
    const frame = JSON.parse(text) as ServerFrame | null;
    return typeof frame?.t === 'string' ? frame : null;
  } catch {
    return null;
  }
}
