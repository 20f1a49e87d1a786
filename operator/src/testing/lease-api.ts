import type { LeaderElectionOptions } from '../runtime/leader-election.ts';
import { KubeError } from '../kube/kube-error.ts';
import { keyOf, type KubeObject } from '../kube/object.ts';

type LeaseClient = LeaderElectionOptions['client'];

/** Objects by name with optimistic concurrency, and nothing else: what leader election asks of the API server. */
export class LeaseApi implements LeaseClient {
  readonly objects = new Map<string, KubeObject>();
  /** Makes every request fail, or hang until it is given up. */
  fault: 'none' | 'fails' | 'hangs' = 'none';
  writes = 0;
  #version = 0;

  async get(...[, ref, signal]: Parameters<LeaseClient['get']>): ReturnType<LeaseClient['get']> {
    await this.#obey(signal);
    return this.objects.get(keyOf(ref));
  }

  async create(...[object, options]: Parameters<LeaseClient['create']>): ReturnType<LeaseClient['create']> {
    await this.#obey(options?.signal);
    if (this.objects.has(keyOf(object.metadata))) throw new KubeError(409, 'AlreadyExists', 'it exists');
    return this.#write(object);
  }

  async update(...[object, options]: Parameters<LeaseClient['update']>): ReturnType<LeaseClient['update']> {
    await this.#obey(options?.signal);
    const current = this.objects.get(keyOf(object.metadata));
    if (current?.metadata.resourceVersion !== object.metadata.resourceVersion) {
      throw new KubeError(409, 'Conflict', 'it was changed');
    }
    return this.#write(object);
  }

  #write(object: KubeObject): KubeObject {
    this.writes++;
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    const written = { ...object, metadata };
    this.objects.set(keyOf(metadata), written);
    return written;
  }

  async #obey(signal: AbortSignal | undefined): Promise<void> {
    if (this.fault === 'fails') throw new KubeError(0, 'Unreachable', 'it is away');
    if (this.fault === 'hangs') {
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new KubeError(0, 'Aborted', 'given up')), { once: true });
      });
    }
  }
}
