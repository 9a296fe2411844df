// Ids of commands: UUIDv7, so that they sort by the time they were made.

import type { Clock } from './time.js';

let lastMs = 0;
let counter = 0;

/** A UUIDv7; of two made by one program, the later one is the greater. */
export function uuidv7(clock: Clock): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Math.max(clock.now(), lastMs);
  counter = now === lastMs ? counter + 1 : ((bytes[6]! << 8) | bytes[7]!) & 0x7ff;
  // 12 bits count within a millisecond; past them time runs ahead a little.
  lastMs = counter > 0xfff ? now + 1 : now;
  counter &= 0xfff;
  for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(lastMs / 2 ** (8 * (5 - i))) & 0xff;
  bytes[6] = 0x70 | (counter >> 8);
  bytes[7] = counter & 0xff;
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
