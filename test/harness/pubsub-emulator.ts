import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinaries } from './cluster/binaries.ts';
import { ServerProcess } from './cluster/server-process.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

/** A Pub/Sub of a test's own: the in-memory server of Google's client library, over real gRPC. */
export class PubSubEmulator {
  /** What `PUBSUB_EMULATOR_HOST` is to be. */
  readonly address: string;
  readonly #folder: string;
  readonly #server: ServerProcess;

  private constructor(address: string, folder: string, server: ServerProcess) {
    this.address = address;
    this.#folder = folder;
    this.#server = server;
  }

  static async start(): Promise<PubSubEmulator> {
    const { 'pubsub-emulator': command } = await ensureBinaries(['pubsub-emulator'], (line) => console.error(line));
    const folder = await mkdtemp(join(tmpdir(), 'riskmodel-pubsub-'));
    const host = '127.0.0.1';
    const port = await stablePort(host);
    const server = new ServerProcess({
      name: 'pubsub-emulator',
      command,
      args: [`${host}:${port}`],
      logFile: join(folder, 'log'),
      isReady: () => accepts(port, host),
    });
    await server.start();
    return new PubSubEmulator(`${host}:${port}`, folder, server);
  }

  async stop(): Promise<void> {
    await this.#server.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function accepts(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
