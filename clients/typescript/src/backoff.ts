// What to do when a connection has ended. Clients act on the range of the close code, so that new
// codes need no new client.

/** Close codes that this client acts on by name. */
export const CLOSE = {
  credentials: 4002,
  forbidden: 4003,
  tokenExpired: 4103,
  drain: 4200,
  gap: 4203,
  /** What WebSockets say of a connection that broke; also what never came to be. */
  broken: 1006,
} as const;

/** What the end of a connection asks for. */
export type Verdict = { readonly kind: 'stop' } | { readonly kind: 'again'; readonly inMs: number };

interface Range {
  readonly firstMs: number;
  readonly baseMs: number;
  readonly capMs: number;
}

// A broken line is mostly a tunnel: the first try is quick, then the network gets room.
const NETWORK: Range = { firstMs: 250, baseMs: 500, capMs: 30_000 };
// The engine asked for room.
const BACK_OFF: Range = { firstMs: 1_000, baseMs: 1_000, capMs: 60_000 };
// The engine asked to come back at once; one that says so again and again gets some room too.
const AT_ONCE: Range = { firstMs: 0, baseMs: 250, capMs: 10_000 };

/**
 * What to do after `code`, when `failures` connections before this one ended without having lasted.
 * The pause has full jitter: thousands that lost one engine do not come back as one.
 */
export function afterClose(code: number, failures: number, random: () => number): Verdict {
  if (code >= 4000 && code < 4100) return { kind: 'stop' };
  const range = rangeOf(code);
  const doubled = range.baseMs * 2 ** Math.min(failures, 20);
  const most = failures === 0 ? range.firstMs : Math.min(range.capMs, doubled);
  return { kind: 'again', inMs: Math.floor(random() * most) };
}

function rangeOf(code: number): Range {
  if (code < 4000 || code >= 5000) return NETWORK;
  return code >= 4200 && code < 4300 ? AT_ONCE : BACK_OFF;
}
