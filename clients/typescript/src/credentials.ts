// Who this client is, as the engine wants to be told: a bearer token, or a ticket for one session.

import { SignedOut } from './errors.js';
import type { BearerProof, TicketProof } from './schema.js';

/**
 * Gives the access token. `renew`: the engine says that the last one is, or soon will be, no good;
 * get a new one. `null`: there is none, the person must log in.
 */
export type TokenSource = (renew: boolean) => string | null | Promise<string | null>;

/** Gives a fresh ticket of `POST /v1/session-tickets`, for pages that hold no token. */
export type TicketSource = () => string | null | Promise<string | null>;

/** Tokens and tickets. */
export class Credentials {
  #stale = false;

  constructor(
    private readonly token: TokenSource | undefined,
    private readonly ticket: TicketSource | undefined,
  ) {}

  /** Whether there can be a bearer: for refreshing, long polls and REST. */
  get hasToken(): boolean {
    return this.token !== undefined;
  }

  /** The engine refused the last token. */
  outdated(): void {
    this.#stale = true;
  }

  /**
   * The access token.
   *
   * @throws SignedOut where there is none.
   */
  async bearer(renew = false): Promise<string> {
    const bearer = await this.token?.(renew || this.#stale);
    if (!bearer) throw new SignedOut();
    this.#stale = false;
    return bearer;
  }

  /**
   * What a `hello` says.
   *
   * @throws SignedOut where there is neither token nor ticket.
   */
  async proof(): Promise<BearerProof | TicketProof> {
    if (!this.ticket) return { bearer: await this.bearer() };
    const ticket = await this.ticket();
    if (!ticket) throw new SignedOut();
    return { ticket };
  }
}
