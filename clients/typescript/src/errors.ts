// Why a command has no answer that went well. Programs decide by the class and by `code`.

import type { FieldError } from './schema.js';

/** The engine refused the command. Where that rests on state, asking again changes nothing. */
export class Refused extends Error {
  override readonly name = 'Refused';

  constructor(
    /** Stable; docs/problems.md lists them all. */
    readonly code: string,
    readonly op: string,
    readonly id: string,
    /** What is wrong with which field. */
    readonly errors: readonly FieldError[] = [],
  ) {
    super(`${op} was refused: ${code}`);
  }
}

/** Too many commands wait already; this one was not taken. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';

  constructor(readonly limit: number) {
    super(`${limit} commands are waiting`);
  }
}

/** The command waited longer than it may. If it was `sent`, it may have taken effect. */
export class Expired extends Error {
  override readonly name = 'Expired';

  constructor(
    readonly op: string,
    readonly id: string,
    readonly sent: boolean,
  ) {
    super(`${op} got no answer in time`);
  }
}

/** The client has stopped. If the command was `sent`, it may have taken effect. */
export class Stopped extends Error {
  override readonly name = 'Stopped';

  constructor(
    readonly op: string,
    readonly id: string,
    readonly sent: boolean,
    readonly reason: StopReason,
  ) {
    super(`the client has stopped (${reason.word}) before ${op} was answered`);
  }
}

/** Why a client stopped: a close code of the engine with its word, or 1000 `stopped` by the app. */
export interface StopReason {
  readonly code: number;
  readonly word: string;
}

/** There is no token or ticket to be had: the person must log in. Thrown by credentials. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';

  constructor() {
    super('signed out');
  }
}
