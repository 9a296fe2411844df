// `@ibora/client`: a client of the Ibora dispatch engine, for browsers and Node.

export { Client } from './client.js';
export type { ClientEvents, CommandOf, Fault, Op, RequestOptions, Settled } from './client.js';
export type { State } from './connection.js';
export type { TicketSource, TokenSource } from './credentials.js';
export { Expired, QueueFull, Refused, Stopped } from './errors.js';
export type { StopReason } from './errors.js';
export { uuidv7 } from './id.js';
export type { ClientOptions } from './options.js';
export type { Outcome } from './queue.js';
export type * from './schema.js';
export type { SocketConstructor, SocketLike } from './socket.js';
export { webStorage } from './storage.js';
export type { CommandStorage, StoredCommand } from './storage.js';
export { systemClock } from './time.js';
export type { Clock } from './time.js';
export type { Fix } from './telemetry.js';
