import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdempotencyStrategy, Storage } from '@google-cloud/storage';
import { ensureBinaries } from './cluster/binaries.ts';
import { ServerProcess } from './cluster/server-process.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

/**
 * A client for what tests put into buckets. It makes every call again that a closed connection broke, as a test's own
 * objects may well be written twice.
 */
export function storageClient(options: { projectId: string; apiEndpoint?: string }): Storage {
  return new Storage({ ...options, retryOptions: { idempotencyStrategy: IdempotencyStrategy.RetryAlways } });
}

export interface CloudStorageOptions {
  /** Another address of this machine, for programs in namespaces of their own to reach it. */
  host?: string;
  /** Where it tells of new objects: a topic of the project `local`, on a Pub/Sub emulator. */
  notifications?: { emulator: string; topic: string };
}

/**
 * A Google Cloud Storage of a test's own: fake-gcs-server, over real HTTP, with its objects in a folder. It keeps
 * generations and checksums and refuses uploads by `ifGenerationMatch`; it does not enforce preconditions of reads,
 * deletes and copies, nor IAM. Names of buckets need three letters or more.
 */
export class CloudStorage {
  readonly url: string;
  readonly #folder: string;
  readonly #server: ServerProcess;

  private constructor(url: string, folder: string, server: ServerProcess) {
    this.url = url;
    this.#folder = folder;
    this.#server = server;
  }

  static async start({ host = '127.0.0.1', notifications }: CloudStorageOptions = {}): Promise<CloudStorage> {
    const { 'fake-gcs-server': command } = await ensureBinaries(['fake-gcs-server'], (line) => console.error(line));
    const folder = await mkdtemp(join(tmpdir(), 'riskmodel-cloud-storage-'));
    const objects = join(folder, 'objects');
    await mkdir(objects);
    const port = await stablePort(host);
    const url = `http://${host}:${port}`;
    const server = new ServerProcess({
      name: 'fake-gcs-server',
      command,
      args: Object.entries({
        scheme: 'http',
        host,
        port: String(port),
        backend: 'filesystem',
        'filesystem-root': objects,
        'public-host': `${host}:${port}`,
        'external-url': url,
        'log-level': 'warn',
        ...(notifications && {
          'event.pubsub-project-id': 'local',
          'event.pubsub-topic': notifications.topic,
          'event.list': 'finalize',
        }),
      }).flatMap(([name, value]) => [`-${name}`, value]),
      ...(notifications && { env: { PUBSUB_EMULATOR_HOST: notifications.emulator } }),
      logFile: join(folder, 'log'),
      isReady: async () => (await fetch(`${url}/storage/v1/b?project=local`)).ok,
    });
    await server.start();
    return new CloudStorage(url, folder, server);
  }

  /** Makes a bucket; one that is there already stays as it is. */
  async createBucket(name: string): Promise<void> {
    const answer = await fetch(`${this.url}/storage/v1/b?project=local`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
    if (!answer.ok && answer.status !== 409) {
      throw new Error(`bucket ${name} could not be made: ${answer.status} ${await answer.text()}`);
    }
  }

  async stop(): Promise<void> {
    await this.#server.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
