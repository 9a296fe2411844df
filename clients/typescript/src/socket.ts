// WebSockets as this client uses them: those of browsers, those of `ws`, those of tests.

/** The name of the protocol. */
export const PROTOCOL = 'ibora.v1';

/** What is used of a WebSocket. */
export interface SocketLike {
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Makes WebSockets. */
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

/**
 * The platform's WebSocket or, where there is none (Node before 22), that of the package `ws`.
 *
 * @throws where there is neither: then hand one in as the option `WebSocket`.
 */
export async function findWebSocket(): Promise<SocketConstructor> {
  const own = (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
  if (own) return own;
  // Not a literal: bundlers for browsers must not look for it.
  const name = 'ws';
  const found = (await import(name)) as { WebSocket: SocketConstructor };
  return found.WebSocket;
}

/** Ends a socket whose other side may never answer the closing handshake. */
export function abandon(socket: SocketLike, reason: string): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  // `ws` tells an end before the opening as an error, which must find a handler.
  socket.onerror = () => {};
  socket.close(1000, reason);
}
