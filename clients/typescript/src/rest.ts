// The same commands over REST, for where no WebSocket can be opened; and tickets.

import type { Credentials } from './credentials.js';
import type { Outcome } from './queue.js';
import type { FieldError, Point } from './schema.js';
import type { StoredCommand } from './storage.js';

/** An answer of the engine, read. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Of `Retry-After`. */
  readonly retryMs: number | undefined;
  /** Of `ETag`. */
  readonly version: number;
}

interface Call {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Where each op is over REST. */
function route({ op, key, d }: StoredCommand): [method: string, path: string, body: unknown] {
  const ride = `/v1/rides/${encodeURIComponent(key ?? '')}`;
  switch (op) {
    case 'driver.online':
      return ['PUT', '/v1/me/availability', { status: 'online', ...(d as object) }];
    case 'driver.offline':
      return ['PUT', '/v1/me/availability', { status: 'offline' }];
    case 'ride.estimate':
      return ['POST', '/v1/rides/estimate', d ?? {}];
    case 'ride.request':
      return ['POST', '/v1/rides', d ?? {}];
    case 'ride.rate':
      return ['POST', `${ride}/rating`, d ?? {}];
    default:
      return ['POST', `${ride}/${op.slice('ride.'.length)}`, d ?? {}];
  }
}

/** The REST side of the engine. */
export class Rest {
  constructor(
    private readonly base: string,
    private readonly credentials: Credentials,
    private readonly fetch: typeof globalThis.fetch,
  ) {}

  /**
   * One call; a token that is no good is renewed once.
   *
   * @throws SignedOut, or whatever `fetch` throws where the network does not get through.
   */
  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const first = await this.once(method, path, call, false);
    return first.status === 401 ? this.once(method, path, call, true) : first;
  }

  /** A ticket for one session. */
  async ticket(): Promise<string | null> {
    const answer = await this.call('POST', '/v1/session-tickets');
    if (answer.status === 401 || answer.status === 403) return null;
    const { ticket } = (answer.body ?? {}) as { ticket?: unknown };
    if (typeof ticket !== 'string') throw new Error(`no ticket: status ${answer.status}`);
    return ticket;
  }

  /** Carries a command out. Never throws: what did not get through is to be asked again. */
  async carry(command: StoredCommand): Promise<Outcome> {
    const [method, path, body] = route(command);
    const headers: Record<string, string> = { 'Idempotency-Key': command.id };
    if (command.if !== undefined) headers['If-Match'] = `"${command.if}"`;
    try {
      return outcome(await this.call(method, path, { body, headers }));
    } catch {
      return { ok: false, code: 'unavailable', retry: true };
    }
  }

  /** Reports positions; whether they were taken, or when to come again. */
  async report(pts: readonly Point[]): Promise<{ taken: boolean; retryMs: number }> {
    const known = (value: number | null | undefined) =>
      value == null || value < 0 ? undefined : value;
    const points = pts.map(([ms, lat, lng, accuracy, speed, bearing]) => ({
      at: new Date(ms ?? 0).toISOString(), lat, lng,
      accuracy_m: known(accuracy), speed_mps: known(speed), bearing_deg: known(bearing),
    }));
    try {
      const { status, retryMs } = await this.call('POST', '/v1/me/locations', { body: { points } });
      return { taken: status < 300, retryMs: retryMs ?? 5_000 };
    } catch {
      return { taken: false, retryMs: 5_000 };
    }
  }

  private async once(method: string, path: string, call: Call, renew: boolean): Promise<Answer> {
    const headers: Record<string, string> = {
      ...call.headers,
      Authorization: `Bearer ${await this.credentials.bearer(renew)}`,
    };
    const request: RequestInit = { method, headers };
    if (call.signal) request.signal = call.signal;
    if (call.body !== undefined) {
      headers['Content-Type'] = 'application/json';
      request.body = JSON.stringify(call.body);
    }
    const response = await this.fetch(this.base + path, request);
    const text = await response.text();
    const seconds = Number(response.headers.get('Retry-After') ?? NaN);
    return {
      status: response.status,
      body: json(text),
      retryMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
      version: Number(/\d+/.exec(response.headers.get('ETag') ?? '')?.[0] ?? 0),
    };
  }
}

function outcome({ status, body, retryMs, version }: Answer): Outcome {
  if (status >= 200 && status < 300) return { ok: true, ver: version, d: body };
  const problem = (body ?? {}) as { code?: string; errors?: FieldError[] };
  // Without a code it was not the engine who answered, but something on the way.
  const retry = status === 429 || status === 408 || status >= 500 || !problem.code;
  const code = problem.code ?? 'unavailable';
  return {
    ok: false, code, retry,
    ...(retryMs !== undefined && { retryMs }),
    ...(problem.errors && { errors: problem.errors }),
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
