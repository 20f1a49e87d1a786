import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

export interface CuttingProxy {
  readonly port: number;
  /** How often connections were cut. */
  readonly cuts: number;
  /** Breaks all connections there are, in the middle of whatever they carry. */
  cut(): void;
  /** Cuts every so often, until it is told otherwise or closed; 0 for no more. */
  cutEvery(ms: number): void;
  close(): Promise<void>;
}

/**
 * A TCP proxy in front of a server, whose connections can be broken at any moment.
 * @param port where it listens; when absent, any that is free and stays so while the proxy is closed.
 */
export async function startCuttingProxy(target: URL, port?: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  let timer: NodeJS.Timeout | undefined;
  const server = createServer((incoming) => {
    const outgoing = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(port ?? (await stablePort()), '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    cuts++;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    cut,
    cutEvery: (ms) => {
      clearInterval(timer);
      timer = ms === 0 ? undefined : setInterval(cut, ms);
    },
    close: async () => {
      clearInterval(timer);
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
