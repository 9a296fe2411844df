// Where commands that have no answer yet survive a reload of the page.

/** A command as it is kept. Holds places and PINs: keep it where other people cannot read it. */
export interface StoredCommand {
  readonly id: string;
  readonly op: string;
  readonly key?: string;
  readonly if?: number;
  readonly d?: unknown;
  /** When it was asked for, in milliseconds since 1970. */
  readonly at: number;
  readonly ttlMs: number;
  /** Whether it may have reached the engine. */
  readonly sent: boolean;
}

/** Keeps the commands of ONE client of ONE person. */
export interface CommandStorage {
  load(): StoredCommand[] | Promise<StoredCommand[]>;
  /** Keeps these, and none that was kept before. */
  save(commands: StoredCommand[]): void | Promise<void>;
}

/**
 * Keeps commands in `sessionStorage` (a tab's own) or `localStorage` (shared by all tabs: then
 * `name` must be a tab's own). The name should hold the person's id.
 */
export function webStorage(
  storage: Pick<Storage, 'getItem' | 'setItem'>,
  name: string,
): CommandStorage {
  return {
    load() {
      const kept: unknown = JSON.parse(storage.getItem(name) ?? '[]');
      return Array.isArray(kept) ? (kept as StoredCommand[]) : [];
    },
    save(commands) {
      storage.setItem(name, JSON.stringify(commands));
    },
  };
}
