import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than the idle timeout of load balancers (Google's is 600 s), so that they close connections, not we. */
const keepAliveMilliseconds = 620_000;

/** An HTTP server that ends without dropping an answer. Its handler may be exchanged at any time. */
export class DrainingServer {
  readonly #server: Server;
  readonly #inFlight = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  #isDraining = false;

  /** Answers a request; exchange it to answer differently from now on. */
  handler: RequestListener;

  constructor(handler: RequestListener) {
    this.handler = handler;
    this.#server = createServer({ keepAliveTimeout: keepAliveMilliseconds, keepAlive: true }, (request, response) => {
      this.#inFlight.add(response);
      response.once('close', () => this.#inFlight.delete(response));
      if (this.#isDraining) response.setHeader('Connection', 'close');
      this.handler(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** @returns the port, which the system chose if it was 0 */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** From now on every answer closes its connection, so that clients go elsewhere; all requests are still answered. */
  startDraining(): void {
    this.#isDraining = true;
    for (const response of this.#inFlight) if (!response.headersSent) response.setHeader('Connection', 'close');
  }

  /**
   * Stops listening, closes idle connections and waits for the answers under way.
   *
   * @param grace milliseconds after which what is left is cut off
   * @returns the number of requests that were cut off
   */
  async close(grace: number): Promise<number> {
    this.startDraining();
    if (!this.#server.listening) return 0;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    // Connections become idle one by one; Node's own idea of idle leaves out those that never sent a request.
    const sweep = setInterval(() => this.#closeIdle(), 20);
    this.#closeIdle();
    const timer = new AbortController();
    await Promise.race([closed, sleep(grace, undefined, { signal: timer.signal }).catch(() => {})]);
    timer.abort();
    clearInterval(sweep);
    const cutOff = this.#inFlight.size;
    this.#server.closeAllConnections();
    await closed;
    return cutOff;
  }

  #closeIdle(): void {
    const busy = new Set([...this.#inFlight].map(({ socket }) => socket));
    for (const socket of this.#sockets) if (!busy.has(socket)) socket.destroySoon();
  }
}
