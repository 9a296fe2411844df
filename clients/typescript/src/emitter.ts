// Who wants to be told what.

/** Calls handlers by the name of what happened. A handler that throws stops no other. */
export class Emitter<Names extends object> {
  readonly #handlers = new Map<keyof Names, Set<(value: never) => void>>();

  /** Calls `handler` each time until the answer is called. */
  on<Name extends keyof Names>(name: Name, handler: (value: Names[Name]) => void): () => void {
    let handlers = this.#handlers.get(name);
    if (!handlers) this.#handlers.set(name, (handlers = new Set()));
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  /** What handlers threw. */
  protected emit<Name extends keyof Names>(name: Name, value: Names[Name]): unknown[] {
    const thrown: unknown[] = [];
    for (const handler of [...(this.#handlers.get(name) ?? [])]) {
      try {
        (handler as (value: Names[Name]) => void)(value);
      } catch (error) {
        thrown.push(error);
      }
    }
    return thrown;
  }
}
