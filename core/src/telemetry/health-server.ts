import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** Says what is wrong, or undefined when nothing is. */
export type Check = () => string | undefined;

export interface HealthServerOptions {
  registry: Registry;
  /** Whether the program should be restarted. */
  live: Record<string, Check>;
  /** Whether the program can do its work. */
  ready: Record<string, Check>;
  host?: string;
  /** 0 for any free one. */
  port: number;
}

/** Answers `/livez`, `/readyz` and `/metrics`. */
export class HealthServer {
  readonly #options: HealthServerOptions;
  readonly #server: Server;

  constructor(options: HealthServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** @returns the port that is listened to. */
  async listen(): Promise<number> {
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { registry, live, ready } = this.#options;
    const [path] = (request.url ?? '').split('?');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'Method Not Allowed\n');
    if (path === '/livez' || path === '/healthz') return answerChecks(response, live);
    if (path === '/readyz') return answerChecks(response, ready);
    if (path !== '/metrics') return answer(response, 404, 'Not Found\n');
    try {
      answer(response, 200, await registry.metrics(), registry.contentType);
    } catch (error) {
      answer(response, 500, `${String(error)}\n`);
    }
  }
}

/** One line a check, as the API server's own probes have it. */
function answerChecks(response: ServerResponse, checks: Record<string, Check>): void {
  const results = Object.entries(checks).map(([name, check]) => ({ name, problem: check() }));
  const isHealthy = results.every(({ problem }) => problem === undefined);
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name}: ${problem}`,
  );
  answer(response, isHealthy ? 200 : 503, `${[...lines, isHealthy ? 'ok' : 'failed'].join('\n')}\n`);
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' });
  response.end(text);
}
