// The client: what an app holds. It puts the parts together and says what each frame means.

import { Acks } from './acks.js';
import { CLOSE } from './backoff.js';
import { Connection, type State } from './connection.js';
import { Credentials } from './credentials.js';
import { Emitter } from './emitter.js';
import type { StopReason } from './errors.js';
import { uuidv7 } from './id.js';
import { Inbox } from './inbox.js';
import { defaults, type ClientOptions, type Settings } from './options.js';
import { CommandQueue, type Outcome } from './queue.js';
import { Rest } from './rest.js';
import type {
  Answers, Cmd, Commands, Eph, Ephemerals, Err, Events, Evt, ServerFrame, Snapshot, StreamAnswer,
  Welcome,
} from './schema.js';
import type { Session } from './session.js';
import type { StoredCommand } from './storage.js';
import { Telemetry, type Fix } from './telemetry.js';

/** The ops of commands. */
export type Op = keyof Commands;

/** What a command says besides its op: `key`, `if`, `d`, as far as its op has them. */
export type CommandOf<O extends Op> = Omit<Commands[O], 't' | 'id' | 'op'>;

export interface RequestOptions {
  /** A UUIDv7 of the app's own; else one is made. */
  readonly id?: string;
  /** How long the command may wait for an answer; at most 23 hours. */
  readonly ttlMs?: number;
}

/** The final answer to a command, also to one that an earlier life of the app had sent. */
export type Settled = StoredCommand & { readonly outcome: Outcome };

/** Something that is no one's answer: a defect of app, client or engine; for its log. */
export interface Fault {
  readonly code: string;
  readonly cause?: unknown;
}

/** What `on` tells: these, and each event and ephemeral frame under its op. */
export type ClientEvents = Events &
  Ephemerals & {
    state: State;
    /** The truth: drop what was known. */
    snapshot: Snapshot;
    /** Every durable event, those of ops too that this client does not know yet. */
    event: Evt;
    ephemeral: Eph;
    settled: Settled;
    /** Tell the user; nothing is tried any more until `start`. */
    stopped: StopReason;
    fault: Fault;
  };

/** Ids are known for 24 h; after that the same id would be a new command. */
const TTL_MS_MAX = 23 * 3_600_000;

/** A client of one person on one device. */
export class Client extends Emitter<ClientEvents> {
  readonly #settings: Settings;
  readonly #inbox = new Inbox({
    snapshot: (snapshot) => this.tell('snapshot', snapshot),
    event: (event) => {
      this.tell('event', event);
      this.tell(event.op, event as never);
    },
  });
  readonly #acks: Acks;
  readonly #queue: CommandQueue;
  readonly #telemetry: Telemetry;
  readonly #rest: Rest;
  readonly #connection: Connection;
  readonly #wake = () => this.wake();
  #frameMax = 16_384;
  #carriesOverRest = false;
  /** Rises with each `start` and `stop`. */
  #runs = 0;

  constructor(options: ClientOptions) {
    super();
    this.#settings = defaults(options);
    const { clock, base, storage, queueMax } = this.#settings;
    const ticket = options.ticket === true ? () => this.#rest.ticket() : options.ticket;
    const credentials = new Credentials(options.token, ticket);
    this.#rest = new Rest(base, credentials, this.#settings.fetch);
    this.#acks = new Acks(clock, (seq) => this.#connection.session?.send({ t: 'ack', seq }));
    this.#queue = new CommandQueue({
      clock, storage, limit: queueMax,
      settled: (command, outcome) => this.onSettled(command, outcome),
      failed: (cause) => this.tell('fault', { code: 'storage', cause }),
    });
    this.#telemetry = new Telemetry(clock, this.#settings.positionsEveryMs);
    const { url, WebSocket, device, app, pollAfter, retryMs } = this.#settings;
    const way = { url, WebSocket, device, app, pollAfter, retryMs };
    const about = { clock, credentials, position: this.#inbox.position, rest: this.#rest, ...way };
    this.#connection = new Connection(about, {
      changed: (state) => this.tell('state', state),
      opened: (session, welcome) => this.onOpen(session, welcome),
      received: (frame) => this.onFrame(frame),
      polled: (answer) => this.onPolled(answer),
      lost: () => this.onLost(),
      stopped: (reason) => this.onStopped(reason),
      failed: (cause) => this.tell('fault', { code: 'connect', cause }),
    });
  }

  get state(): State {
    return this.#connection.state;
  }

  /** Commands that have no answer yet. */
  get pending(): readonly StoredCommand[] {
    return this.#queue.pending;
  }

  /** Connects, and stays connected. Resolves when what was stored is taken up. */
  async start(): Promise<void> {
    this.#runs += 1;
    const run = this.#runs;
    globalThis.addEventListener?.('online', this.#wake);
    await this.#queue.restore();
    if (run === this.#runs) this.#connection.start();
  }

  /** Disconnects. Commands without an answer are rejected with `Stopped` and forgotten. */
  stop(): void {
    this.#runs += 1;
    this.#connection.stop({ code: 1000, word: 'stopped' });
  }

  /** Call it when the app comes to the front or the network is back. */
  wake(): void {
    this.#connection.wake();
  }

  /**
   * Asks for a change (or a price). Waits through losses of the connection, under one id, so that
   * it takes effect once.
   *
   * @throws Refused, Expired, QueueFull, Stopped; RangeError for a command over the frame limit.
   */
  request<O extends Op>(
    op: O,
    command: CommandOf<O>,
    options: RequestOptions = {},
  ): Promise<Answers[O]> {
    const { clock, commandTtlMs, estimateTtlMs } = this.#settings;
    const usual = op === 'ride.estimate' ? estimateTtlMs : commandTtlMs;
    const ttlMs = Math.min(options.ttlMs ?? usual, TTL_MS_MAX);
    const id = options.id ?? uuidv7(clock);
    const stored = { ...command, id, op, at: clock.now(), ttlMs, sent: false } as StoredCommand;
    const bytes = new TextEncoder().encode(JSON.stringify(frameOf(stored))).length;
    if (bytes > this.#frameMax) {
      return Promise.reject(new RangeError(`${op} takes ${bytes} bytes, over ${this.#frameMax}`));
    }
    return this.#queue.add(stored) as Promise<Answers[O]>;
  }

  /** Reports where the driver is. Cheap: call it for every fix. */
  report(fix: Fix): void {
    if (this.#inbox.activity.role === 'passenger') throw new Error('only drivers report positions');
    this.#telemetry.add(fix);
  }

  private onOpen(session: Session, welcome: Welcome): void {
    const { stream, limits } = welcome;
    this.#frameMax = limits.frame;
    this.#inbox.welcome(welcome);
    this.freshen();
    this.#acks.reset(this.#inbox.position.seq ?? 0);
    const driver = stream.id.startsWith('drv:') ? stream.id.slice(4) : undefined;
    const carry = (command: StoredCommand) => session.send(frameOf(command, driver));
    this.#queue.attach({ carry }, limits);
    this.#telemetry.attach((n, pts) => {
      if (session.isCongested) return false;
      session.send({ t: 'tel', n, pts });
      return true;
    });
  }

  private onFrame(frame: ServerFrame): void {
    switch (frame.t) {
      case 'evt':
        return this.onEvent(frame);
      case 'eph':
        return this.onEphemeral(frame);
      case 'res':
        return this.#queue.settle(frame.id, { ok: true, ver: frame.ver, d: frame.d });
      case 'err':
        return this.onErr(frame);
      case 'tack':
        return this.#telemetry.acknowledged(frame.n);
      case 'drain':
        return this.#connection.drain(frame.in_ms);
      case 'sync':
        this.#inbox.sync(frame);
        return this.freshen();
      default:
        return undefined;
    }
  }

  private onEvent(event: Evt): void {
    const taken = this.#inbox.take(event);
    if (taken === 'gap') return this.#connection.end(CLOSE.gap, 'gap');
    this.freshen();
    // A repeated urgent one is acknowledged again: its first ack was lost.
    const urgent = event.prio === 1;
    const { seq } = this.#inbox.position;
    if (taken === 'new' || urgent) this.#acks.taken(seq ?? event.seq, urgent);
  }

  private onEphemeral(frame: Eph): void {
    this.tell('ephemeral', frame);
    this.tell(frame.op, frame as never);
  }

  private onErr({ id, code, retry, retry_ms: retryMs, d }: Err): void {
    if (id !== undefined) {
      const errors = d?.errors;
      const more = { ...(retryMs !== undefined && { retryMs }), ...(errors && { errors }) };
      return this.#queue.settle(id, { ok: false, code, retry, ...more });
    }
    if (code === 'rate_limited') return this.#telemetry.slowDown(retryMs ?? 1_000);
    if (code === 'unauthenticated') return this.#connection.session?.refreshRefused();
    if (code === 'malformed') this.#queue.settleTheOnlyOne(code);
    return this.tell('fault', { code, cause: d });
  }

  private onPolled(answer: StreamAnswer): void {
    this.#inbox.polled(answer);
    this.carryOverRest();
  }

  /** While long polls stand in, REST takes what the session would. */
  private carryOverRest(): void {
    if (this.#carriesOverRest) return;
    this.#carriesOverRest = true;
    const carry = (command: StoredCommand) =>
      void this.#rest.carry(command).then((outcome) => this.#queue.settle(command.id, outcome));
    this.#queue.attach({ carry }, null);
    this.#telemetry.attach((n, pts) => {
      void this.#rest.report(pts).then(({ taken, retryMs }) => {
        if (taken) this.#telemetry.acknowledged(n);
        else if (this.state === 'polling') this.#telemetry.slowDown(retryMs);
      });
      return true;
    });
  }

  private onLost(): void {
    this.#carriesOverRest = false;
    this.#acks.reset(this.#inbox.position.seq ?? 0);
    this.#queue.detach();
    this.#telemetry.detach();
  }

  private onStopped(reason: StopReason): void {
    globalThis.removeEventListener?.('online', this.#wake);
    this.#queue.stop(reason);
    this.tell('stopped', reason);
  }

  private onSettled(command: StoredCommand, outcome: Outcome): void {
    this.#inbox.activity.answered(command.op, command.key, outcome.ok ? outcome.d : null);
    this.freshen();
    this.tell('settled', { ...command, outcome });
  }

  private freshen(): void {
    const { session } = this.#connection;
    if (session) session.active = this.#inbox.activity.isActive;
  }

  private tell<Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): void {
    for (const cause of this.emit(name, value)) {
      // A handler of faults that throws has nobody left to tell.
      if (name !== 'fault') this.emit('fault', { code: 'handler', cause });
    }
  }
}

/** `driver`: the key of commands about the driver. */
function frameOf({ id, op, key, if: version, d }: StoredCommand, driver?: string): Cmd {
  const about = key ?? (op.startsWith('driver.') ? driver : undefined);
  const has = <Name extends string, Value>(name: Name, value: Value) =>
    value === undefined ? {} : { [name]: value };
  return { t: 'cmd', id, op, ...has('key', about), ...has('if', version), ...has('d', d) } as Cmd;
}
