// Waiting for a state, never for luck.

const PATIENCE_MS = 10_000;

/** Waits until `look` finds something. */
export async function until<T>(
  what: string,
  look: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A list that can be waited for. */
export class Inflow<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first item that fits, if there is one. */
  take(fits: (item: T) => boolean = () => true): T | undefined {
    const at = this.#items.findIndex(fits);
    return at < 0 ? undefined : this.#items.splice(at, 1)[0];
  }

  /** Waits for the first item that fits, in whatever order they came. */
  async next(what: string, fits: (item: T) => boolean = () => true, ms?: number): Promise<T> {
    return until(what, () => {
      const item = this.take(fits);
      return item === undefined ? undefined : { item };
    }, ms).then(({ item }) => item);
  }
}
