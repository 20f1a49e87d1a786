import { setTimeout as delay } from 'node:timers/promises';
import { Agent, ProxyAgent, request, type buildConnector, type Dispatcher } from 'undici';
import { messageOf } from '@riskmodel/core/errors.ts';
import type { Connection } from './connection.ts';
import { makeDeadline, type Deadline } from './deadline.ts';
import { signalOfWork } from './given-up.ts';
import { KubeError, type Status } from './kube-error.ts';
import { noRequestMetrics, type RequestMetrics } from './request-metrics.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Record<string, string | number | boolean | undefined>;

export interface Call {
  method: Method;
  path: string;
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
  /** How long the whole answer may take; for a stream, how long its beginning may. */
  timeoutMs?: number;
  /** That of the work which it is part of, when absent (`givingUp`). */
  signal?: AbortSignal | undefined;
  /** What is being done, for error messages: `apply Service default/x`. */
  action: string;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Fixed for the life of the program, but for tests. */
export interface TransportOptions {
  connection: Connection;
  userAgent?: string;
  /** How long a request may take when it says nothing else. */
  timeoutMs?: number;
  metrics?: RequestMetrics;
  /** Called with what the server warns of, such as an API that will be removed or a field it does not know. */
  onWarning?: (text: string, action: string) => void;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** The longest a request itself waits when the server asks for time; beyond it the caller gets the error. */
const longestWaitMs = 2_000;
const attempts = 4;
/** The server closes idle connections after 90 s. Closing them earlier avoids writing into one that is just closing. */
const idleConnectionMs = 60_000;
const defaultTimeoutMs = 30_000;

type StreamAnswer = Dispatcher.ResponseData;

/**
 * HTTP to the API server over kept-alive connections: who asks, timeouts, waiting when told to, metrics, and errors as
 * `KubeError`. HTTP/1.1, so that one slow answer never holds up others and a watch that hangs is alone.
 */
export class Transport {
  readonly #connection: Connection;
  readonly #dispatcher: Dispatcher;
  readonly #base: URL;
  readonly #timeoutMs: number;
  readonly #metrics: RequestMetrics;
  readonly #userAgent: string;
  readonly #onWarning: NonNullable<TransportOptions['onWarning']>;
  readonly #sleep: NonNullable<TransportOptions['sleep']>;

  constructor(options: TransportOptions) {
    this.#connection = options.connection;
    this.#dispatcher = makeDispatcher(options.connection);
    this.#base = new URL(options.connection.server.replace(/\/*$/, '/'));
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#metrics = options.metrics ?? noRequestMetrics;
    this.#userAgent = options.userAgent ?? 'riskmodel-operator';
    this.#onWarning = options.onWarning ?? (() => {});
    this.#sleep = options.sleep ?? ((ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }));
  }

  /** The whole answer, once its status is below 400. */
  async call(asked: Call): Promise<Answer> {
    const call = withSignal(asked);
    return this.#retrying(call, async () => {
      const deadline = makeDeadline(call.timeoutMs ?? this.#timeoutMs, call.signal);
      try {
        const response = await this.#send(call, deadline.signal);
        const text = await response.body.text();
        return { status: response.statusCode, headers: response.headers, text };
      } catch (error) {
        throw asKubeError(error, call, deadline);
      } finally {
        deadline.release();
      }
    });
  }

  /** The body as it comes, once the status is below 400. Ends with an error when `call.signal` is aborted. */
  async stream(asked: Call): Promise<AsyncIterable<Buffer>> {
    const call = withSignal(asked);
    return this.#retrying(call, async () => {
      const deadline = makeDeadline(call.timeoutMs ?? this.#timeoutMs, call.signal);
      try {
        const { body } = await this.#send(call, deadline.signal);
        deadline.stopClock();
        body.once('close', deadline.release);
        return body;
      } catch (error) {
        deadline.release();
        throw asKubeError(error, call, deadline);
      }
    });
  }

  /** Ends what is under way and closes all connections. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /** Waits and repeats when the server sheds load and says for how long; it has then done nothing. */
  async #retrying<T>(call: Call, attempt: () => Promise<T>): Promise<T> {
    for (let made = 1; ; made++) {
      try {
        return await attempt();
      } catch (error) {
        const wait = error instanceof KubeError ? error.retryAfterMs : undefined;
        if (wait === undefined || wait > longestWaitMs || made === attempts) throw error;
        await this.#sleep(wait, call.signal).catch(() => Promise.reject(error as KubeError));
      }
    }
  }

  async #send(call: Call, signal: AbortSignal): Promise<StreamAnswer> {
    const url = this.#url(call);
    const startedAt = performance.now();
    let code = '<error>';
    try {
      const response = await request(url, {
        dispatcher: this.#dispatcher,
        method: call.method,
        headers: await this.#headers(call),
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal,
        // Time is limited by the signal; undici's own timers are coarse and would end a quiet watch.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      code = String(response.statusCode);
      for (const warning of warningsOf(response.headers)) this.#onWarning(warning, call.action);
      if (response.statusCode >= 400) throw await refusal(response, call.action);
      return response;
    } finally {
      this.#metrics.observe(call.method, url.host, code, (performance.now() - startedAt) / 1000);
    }
  }

  async #headers({ body, contentType = 'application/json', headers }: Call): Promise<Record<string, string>> {
    return {
      accept: 'application/json',
      'user-agent': this.#userAgent,
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...(await this.#connection.authHeaders()),
      ...headers,
    };
  }

  #url({ path, query = {} }: Call): URL {
    const url = new URL(path.replace(/^\/+/, ''), this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }
}

function withSignal(call: Call): Call {
  return call.signal === undefined ? { ...call, signal: signalOfWork() } : call;
}

function makeDispatcher({ tls, proxyUrl }: Connection): Dispatcher {
  const connect = {
    ...tls,
    timeout: 10_000,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  } as buildConnector.BuildOptions;
  const options: Agent.Options = { allowH2: false, keepAliveTimeout: idleConnectionMs, connect };
  return proxyUrl === undefined
    ? new Agent(options)
    : new ProxyAgent({ ...options, uri: proxyUrl, requestTls: connect });
}

/** The error in an answer of 400 or more: the server's own `Status`, or what a proxy in between said. */
async function refusal(response: StreamAnswer, action: string): Promise<KubeError> {
  const { statusCode, headers } = response;
  const retryAfterMs = retryAfter(headers['retry-after']);
  const text = await response.body.text().catch(() => '');
  const status = parseStatus(text);
  if (status) return KubeError.ofStatus({ ...status, code: status.code ?? statusCode }, action, retryAfterMs);
  const message = `${action}: HTTP ${statusCode} ${text.trim().slice(0, 200)}`.trim();
  return new KubeError(statusCode, undefined, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

function parseStatus(text: string): Status | undefined {
  try {
    const status = JSON.parse(text) as Status | null;
    return status?.kind === 'Status' ? status : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds; the API server never sends a date. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const seconds = Number(header);
  return header === undefined || !Number.isFinite(seconds) ? undefined : Math.max(0, seconds * 1000);
}

/** `299 - "text"`, perhaps several. */
function warningsOf(headers: StreamAnswer['headers']): string[] {
  const values = [headers['warning'] ?? []].flat();
  return values.flatMap((value) =>
    [...value.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] as string).replace(/\\(.)/g, '$1')),
  );
}

/** No answer came, or only its beginning. */
function asKubeError(error: unknown, { action, signal }: Call, deadline: Deadline): KubeError {
  if (error instanceof KubeError) return error;
  if (signal?.aborted) return new KubeError(0, 'Aborted', `${action}: given up`, { cause: error });
  if (deadline.isOver()) return new KubeError(0, 'Timeout', `${action}: no answer in time`, { cause: error });
  return new KubeError(0, 'Unreachable', `${action}: ${messageOf(error)}`, { cause: error });
}
