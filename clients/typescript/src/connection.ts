// Staying connected: which way to the engine there is now, and when to try the next. A session over
// a WebSocket is the usual way; long polls stand in where none can be opened, until one can.

import { CLOSE, afterClose } from './backoff.js';
import type { Credentials } from './credentials.js';
import { SignedOut, type StopReason } from './errors.js';
import { Poller, type PollerHost } from './poller.js';
import type { Position } from './position.js';
import type { Rest } from './rest.js';
import type { Hello, ServerFrame, StreamAnswer, Welcome } from './schema.js';
import { Session, type End } from './session.js';
import { findWebSocket, type SocketConstructor } from './socket.js';
import { Alarm, type Clock } from './time.js';

/**
 * `open`: a session; `polling`: long polls stand in; `connecting`: on the way; `waiting`: until
 * the next try; `stopped`: the engine refuses this client, or the app stopped it.
 */
export type State = 'idle' | 'connecting' | 'open' | 'polling' | 'waiting' | 'stopped';

/** What a connection tells. */
export interface ConnectionHost {
  changed(state: State): void;
  opened(session: Session, welcome: Welcome): void;
  received(frame: ServerFrame): void;
  polled(answer: StreamAnswer): void;
  /** There is no session and no poll now. */
  lost(): void;
  stopped(reason: StopReason): void;
  /** No try could even be made, such as without a token just now; another will be. */
  failed(error: unknown): void;
}

export interface ConnectionParts {
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly position: Position;
  readonly rest: Rest;
  readonly url: string;
  readonly WebSocket: SocketConstructor | undefined;
  readonly device: string;
  readonly app: string | undefined;
  /** WebSockets in a row that did not open before long polls stand in; `Infinity`: never. */
  readonly pollAfter: number;
  /** How often a WebSocket is tried while long polls stand in. */
  readonly retryMs: number;
}

/** A session that lived this long was a success: the next failure is a first one. */
const STABLE_MS = 10_000;

/** The way to the engine. */
export class Connection {
  #state: State = 'idle';
  #session: Session | null = null;
  /** Rises with each attempt: what belongs to an older one is passed over. */
  #attempt = 0;
  #failures = 0;
  #unopened = 0;
  #pollAfter: number;
  readonly #retry: Alarm;
  readonly #drain: Alarm;
  readonly #poller: Poller;

  constructor(
    private readonly parts: ConnectionParts,
    private readonly host: ConnectionHost,
  ) {
    this.#retry = new Alarm(parts.clock, () => void this.connect());
    this.#drain = new Alarm(parts.clock, () => this.end(CLOSE.drain, 'drain'));
    this.#poller = new Poller(parts.clock, parts.rest, parts.position, this.pollerHost());
    this.#pollAfter = parts.credentials.hasToken ? parts.pollAfter : Infinity;
  }

  get state(): State {
    return this.#state;
  }

  get session(): Session | null {
    return this.#state === 'open' ? this.#session : null;
  }

  start(): void {
    if (this.#state !== 'idle' && this.#state !== 'stopped') return;
    this.#failures = this.#unopened = 0;
    void this.connect();
  }

  /** Ends the connection for good. */
  stop(reason: StopReason): void {
    if (this.#state === 'stopped') return;
    this.#attempt += 1;
    this.#retry.clear();
    this.#drain.clear();
    this.#poller.stop();
    const session = this.#session;
    this.#session = null;
    this.turn('stopped');
    session?.end(1000, reason.word);
    this.host.lost();
    this.host.stopped(reason);
  }

  /** Ends the session and goes on as after the close code `code`. */
  end(code: number, word: string): void {
    this.#session?.end(code, word);
  }

  /** Reconnects after `inMs`, as the engine asks for before it stops. */
  drain(inMs: number): void {
    this.#drain.set(inMs);
  }

  /** There may be a network again: tries now what would be tried later. */
  wake(): void {
    if (this.#state === 'open') this.#session?.probe();
    else if (this.#retry.isSet) void this.connect();
  }

  private async connect(): Promise<void> {
    this.#retry.clear();
    this.#attempt += 1;
    const attempt = this.#attempt;
    if (this.#state !== 'polling') this.turn('connecting');
    try {
      const { credentials, clock, url } = this.parts;
      const WebSocket = this.parts.WebSocket ?? (await findWebSocket());
      const hello = await this.hello();
      if (attempt !== this.#attempt) return;
      const about = { clock, credentials, hello, url, WebSocket };
      const ifCurrent =
        <Args extends unknown[]>(fn: (...args: Args) => void) =>
        (...args: Args) => {
          if (attempt === this.#attempt) fn(...args);
        };
      this.#session = new Session(about, {
        welcomed: ifCurrent((welcome) => this.onWelcome(welcome)),
        received: ifCurrent((frame) => this.host.received(frame)),
        ended: ifCurrent((end) => this.onEnd(end)),
      });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const isOut = error instanceof SignedOut;
      if (!isOut) this.host.failed(error);
      const code = isOut ? CLOSE.credentials : CLOSE.broken;
      this.onEnd({ code, word: isOut ? 'signed_out' : 'failed', welcomedAt: null });
    }
  }

  private async hello(): Promise<Hello> {
    const { credentials, device, app, position } = this.parts;
    const auth = await credentials.proof();
    // Read last: what came meanwhile is not asked for again.
    const { resume } = position;
    return { t: 'hello', v: 1, auth, device, ...(app && { app }), ...(resume && { resume }) };
  }

  private onWelcome(welcome: Welcome): void {
    this.#unopened = 0;
    this.#poller.stop();
    this.turn('open');
    if (this.#session) this.host.opened(this.#session, welcome);
  }

  private onEnd({ code, word, welcomedAt }: End): void {
    const { clock, credentials, retryMs } = this.parts;
    this.#session = null;
    this.#drain.clear();
    if (welcomedAt !== null && clock.now() - welcomedAt >= STABLE_MS) this.#failures = 0;
    // One that opened but carried nothing is no better than none.
    const useless = welcomedAt === null && code < 4000;
    this.#unopened = useless ? this.#unopened + 1 : 0;
    if (code === CLOSE.tokenExpired) credentials.outdated();
    const verdict = afterClose(code, this.#failures, () => clock.random());
    if (verdict.kind === 'stop') return this.stop({ code, word });
    this.#failures += 1;
    if (welcomedAt !== null) this.host.lost();
    if (this.#unopened >= this.#pollAfter) this.#poller.start();
    if (this.#state !== 'polling') this.turn('waiting');
    const stoodIn = this.#state === 'polling';
    this.#retry.set(stoodIn ? retryMs * (0.75 + 0.5 * clock.random()) : verdict.inMs);
    return undefined;
  }

  private pollerHost(): PollerHost {
    return {
      polled: (answer) => {
        // The engine is there again: perhaps that was all, and a WebSocket opens now.
        if (this.#state !== 'polling' && this.#retry.isSet) this.#retry.set(0);
        this.turn('polling');
        this.host.polled(answer);
      },
      lost: () => {
        if (this.#state !== 'polling') return;
        this.turn('waiting');
        if (this.#retry.isSet) this.#retry.set(0);
        this.host.lost();
      },
      unsupported: () => {
        this.#pollAfter = Infinity;
        this.#poller.stop();
        this.#retry.set(0);
      },
      refused: (code) => this.stop({ code, word: 'refused' }),
    };
  }

  private turn(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.host.changed(state);
  }
}
