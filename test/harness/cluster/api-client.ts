import { once } from 'node:events';
import { Agent, request, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import type { Credentials } from './kubeconfig.ts';

export interface ApiAnswer<Body = Record<string, unknown>> {
  status: number;
  body: Body;
}

/** An answer that was not a success. */
export class ApiError extends Error {
  readonly answer: ApiAnswer;

  constructor(action: string, answer: ApiAnswer) {
    const { message } = answer.body as { message?: string };
    super(`${action}: ${answer.status} ${message ?? ''}`);
    this.name = 'ApiError';
    this.answer = answer;
  }
}

/**
 * JSON requests to an API server, as they are written down: nothing is converted on the way and no field is dropped,
 * which is what tests of a schema need. Connections are kept and shared.
 */
export class ApiClient {
  readonly #credentials: Credentials;
  readonly #agent: Agent;

  constructor(credentials: Credentials, { connections = 32 } = {}) {
    this.#credentials = credentials;
    const { ca, as } = credentials;
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: connections, ...('token' in as ? {} : as) });
  }

  /** Sends a request and returns the answer, whatever its status is. */
  async send(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
    timeoutMs = 30_000,
  ): Promise<ApiAnswer> {
    const { as, server } = this.#credentials;
    const headers = {
      accept: 'application/json',
      ...('token' in as ? { authorization: `Bearer ${as.token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': contentType }),
    };
    const options: RequestOptions = { method, headers, agent: this.#agent, signal: AbortSignal.timeout(timeoutMs) };
    const outgoing = request(new URL(path, server), options);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    const answer = await text(incoming);
    const isJson = incoming.headers['content-type']?.startsWith('application/json') === true;
    return {
      status: incoming.statusCode ?? 0,
      body: (isJson ? JSON.parse(answer) : { message: answer }) as Record<string, unknown>,
    };
  }

  /** Sends a request and returns the body of a success. @throws ApiError with the server's own message */
  async call<Body = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
  ): Promise<Body> {
    const answer = await this.send(method, path, body, contentType);
    if (answer.status >= 400) throw new ApiError(`${method} ${path}`, answer);
    return answer.body as Body;
  }

  /** Closes the connections. */
  close(): void {
    this.#agent.destroy();
  }
}
