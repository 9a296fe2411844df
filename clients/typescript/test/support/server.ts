// A tiny engine that says what a test tells it to say. Holds both sides to docs/asyncapi.json.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { WebSocketServer, type WebSocket } from 'ws';

import type { ClientFrame, Evt, Hello, ServerFrame, Welcome } from '../../src/schema.js';
import { faults } from './document.js';
import { Inflow } from './until.js';

export const DRIVER = '0199aa3d-11f0-7c55-8e0a-5b6c7d8e9f01';
export const RIDE = '0199aa41-0c2d-7e3f-a1b2-c3d4e5f60718';
export const OFFER = '0199aa41-2222-7bbb-8ccc-9dddeeeeffff';
const PLACE = { lat: -23.55, lng: -46.63 };

export const driver = {
  id: DRIVER, status: 'online', approval: 'approved' as const, category: 'economy' as const,
  vehicle: null, rating: 5,
};

/** What a scripted engine begins a session with; `seq` as of the snapshot. */
export function welcome(seq: number, more: Partial<Welcome['stream']> = {}, ttlS = 840): Welcome {
  return {
    t: 'welcome', session: OFFER, now: '2026-11-22T01:26:03.000Z', auth_ttl_s: ttlS,
    hb: { idle_ms: 15_000, active_ms: 5_000, grace_ms: 8_000, active_grace_ms: 4_000 },
    stream: { id: `drv:${DRIVER}`, epoch: '7c1e', seq, recovered: false, ...more },
    limits: { frame: 16_384, rate: 20, burst: 40 },
    snapshot: { driver, offers: [], ride: null, next_ride: null },
  };
}

export function offerMade(seq: number): Evt {
  const exp = '2026-11-22T01:26:18.000Z';
  return {
    t: 'evt', seq, id: OFFER, op: 'offer.made', key: RIDE, ver: 2, prio: 1, exp,
    d: {
      offer_id: OFFER, ride_id: RIDE, category: 'economy', pickup: PLACE, dropoff: PLACE,
      fare: '11.38', currency: 'BRL', pickup_distance_m: 600, pickup_eta_s: 140, expires_at: exp,
    },
  };
}

export function withdrawn(seq: number): Evt {
  const d = { offer_id: OFFER, ride_id: RIDE, reason: 'taken' as const };
  return { t: 'evt', seq, id: OFFER, op: 'offer.withdrawn', key: RIDE, ver: 3, prio: 0, d };
}

export function driverUpdated(seq: number): Evt {
  return {
    t: 'evt', seq, id: OFFER, op: 'driver.updated', key: DRIVER, ver: seq, prio: 0, d: { driver },
  };
}

type Frame<T extends ClientFrame['t']> = Extract<ClientFrame, { t: T }>;

/** The engine's end of one session. */
export class Peer {
  readonly frames = new Inflow<ClientFrame>();
  /** Resolves with the code that the client closed with. */
  readonly closed: Promise<number>;

  constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as ClientFrame;
      assert.equal(faults('ClientFrame', frame), '');
      this.frames.put(frame);
    });
    this.closed = new Promise((resolve) => socket.on('close', resolve));
  }

  next<T extends ClientFrame['t']>(t: T): Promise<Frame<T>> {
    return this.frames.next(t, (frame) => frame.t === t) as Promise<Frame<T>>;
  }

  send(...frames: ServerFrame[]): void {
    for (const frame of frames) {
      assert.equal(faults('ServerFrame', frame), '');
      this.socket.send(JSON.stringify(frame));
    }
  }

  /** Sends what no engine of today would. */
  say(text: string): void {
    this.socket.send(text);
  }

  /** Waits for the hello and answers it. */
  async open(frame: Welcome): Promise<Hello> {
    const hello = await this.next('hello');
    this.send(frame);
    return hello;
  }

  close(code: number): void {
    this.socket.close(code, 'scripted');
  }

  /** Ends the connection without a word. */
  cut(): void {
    this.socket.terminate();
  }
}

/** A request over HTTP and how to answer it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: any;
  answer(status: number, body?: unknown, headers?: Record<string, string>): void;
}

export class ScriptedServer {
  readonly peers = new Inflow<Peer>();
  readonly asked = new Inflow<Asked>();
  /** Whether handshakes are refused, and how many were. */
  refuses = false;
  refused = 0;
  #upgraded = 0;

  private constructor(
    private readonly http: HttpServer,
    private readonly sockets: WebSocketServer,
  ) {}

  static async start(): Promise<ScriptedServer> {
    const http = createServer();
    const sockets = new WebSocketServer({ noServer: true });
    const server = new ScriptedServer(http, sockets);
    http.on('request', async (request, response) => {
      let text = '';
      for await (const part of request) text += String(part);
      server.asked.put({
        method: request.method ?? '', path: request.url ?? '', headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
        answer(status, body, headers = {}) {
          response.writeHead(status, { 'content-type': 'application/json', ...headers });
          response.end(body === undefined ? '' : JSON.stringify(body));
        },
      });
    });
    http.on('upgrade', (request, socket, head) => {
      if (server.refuses) {
        server.refused += 1;
        // A client that has stopped meanwhile resets it, which is no harm.
        socket.on('error', () => undefined);
        socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n');
        return;
      }
      server.#upgraded += 1;
      sockets.handleUpgrade(request, socket, head, (opened) => server.peers.put(new Peer(opened)));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** WebSockets that were opened so far. */
  get upgraded(): number {
    return this.#upgraded;
  }

  /** The next session that a client opens. */
  peer(): Promise<Peer> {
    return this.peers.next('a session');
  }

  /** The next request to a path. */
  request(path: string): Promise<Asked> {
    return this.asked.next(path, (asked) => asked.path.startsWith(path));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets.clients) socket.terminate();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }
}
