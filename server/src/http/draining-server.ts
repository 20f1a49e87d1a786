import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than the idle timeout of load balancers (Google's is 600 s), so that they close connections, not we. */
const keepAliveMilliseconds = 620_000;

/** What is under way on a connection. */
interface Connection {
  /** Requests that are not answered yet; several when a client sends before it has the answers. */
  requests: number;
  latest: ServerResponse | undefined;
}

/** An HTTP server that ends without dropping an answer. Its handler may be exchanged at any time. */
export class DrainingServer {
  readonly #server: Server;
  /**
   * By connection, and not a set of the answers under way: a set that gets and loses an entry with every request makes
   * Node's collector copy what is dead already, thirty milliseconds at a time under load.
   */
  readonly #connections = new Map<Socket, Connection>();
  #isDraining = false;

  /** Answers a request; exchange it to answer differently from now on. */
  handler: RequestListener;

  constructor(handler: RequestListener) {
    this.handler = handler;
    this.#server = createServer({ keepAliveTimeout: keepAliveMilliseconds, keepAlive: true }, (request, response) => {
      const connection = this.#connections.get(request.socket);
      if (connection !== undefined) follow(connection, response);
      if (this.#isDraining) response.setHeader('Connection', 'close');
      this.handler(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#connections.set(socket, { requests: 0, latest: undefined });
      socket.once('close', () => this.#connections.delete(socket));
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
    for (const { latest } of this.#connections.values()) {
      if (latest?.headersSent === false) latest.setHeader('Connection', 'close');
    }
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
    const cutOff = [...this.#connections.values()].reduce((sum, { requests }) => sum + requests, 0);
    this.#server.closeAllConnections();
    await closed;
    return cutOff;
  }

  #closeIdle(): void {
    for (const [socket, { requests }] of this.#connections) if (requests === 0) socket.destroySoon();
  }
}

function follow(connection: Connection, response: ServerResponse): void {
  connection.requests++;
  connection.latest = response;
  // Which comes once; a listener for one time would be wrapped, and taken off again.
  response.on('close', () => {
    connection.requests--;
    if (connection.latest === response) connection.latest = undefined;
  });
}
