import type { ListOptions, ObjectList, WatchOptions } from '../kube/client.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { WatchEvent } from '../kube/watch-stream.ts';

/** What one watch does: the events it tells, and how it ends. */
export interface WatchScript {
  events?: WatchEvent[];
  /** It fails so; it ends quietly when `end` is true; else it stays open until it is aborted. */
  error?: Error;
  end?: boolean;
}

/** Answers lists and watches from a script, in order; the last watch stays open. For faults in a certain order. */
export class ScriptClient {
  readonly lists: ListOptions[] = [];
  readonly watches: WatchOptions[] = [];
  readonly #listScript: (ObjectList | Error)[];
  readonly #watchScript: WatchScript[];

  constructor(lists: (ObjectList | Error)[], watches: WatchScript[]) {
    this.#listScript = [...lists];
    this.#watchScript = [...watches];
  }

  async list(_type: ResourceType, options: ListOptions = {}): Promise<ObjectList> {
    this.lists.push(options);
    const answer = this.#listScript.shift();
    if (answer === undefined) throw new Error('The script has no further list');
    if (answer instanceof Error) throw answer;
    return answer;
  }

  async *watch(_type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent> {
    this.watches.push(options);
    const { events = [], error, end = false } = this.#watchScript.shift() ?? {};
    yield* events;
    if (error) throw error;
    if (end) return;
    const { signal } = options;
    await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  }
}
