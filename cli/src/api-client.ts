import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { CommandError } from './errors.ts';

/** The server answered with a status that is not a success. */
export class ApiError extends CommandError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** Nothing answers at the server's address. */
export class ServerUnreachable extends CommandError {
  constructor(url: string, cause: unknown) {
    super(`no server answers at ${url}: start one with "npm start", or with "npx riskmodel up -f" and your manifest`, {
      cause,
    });
    this.name = 'ServerUnreachable';
  }
}

type BatchRequest = Pick<Batch, 'model' | 'action' | 'input' | 'format'> & { idempotencyKey?: string };

const timeoutMs = 60_000;

/** The server's HTTP API, as far as the commands use it. Every call throws ApiError or ServerUnreachable. */
export class ApiClient {
  /** The server's base URL. */
  readonly url: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  /** `token` tells the server who calls; `signal` gives up calls under way. */
  constructor(url: string, { token, signal }: { token?: string | undefined; signal?: AbortSignal | undefined } = {}) {
    this.url = url;
    this.#token = token;
    this.#signal = signal;
  }

  /**
   * The probabilities of both classes for each instance.
   *
   * @param instances a JSON array, as text, so that numbers reach the server digit by digit as they were written
   */
  async predict(model: string, instances: string): Promise<number[][]> {
    const path = `/v1/models/${encodeURIComponent(model)}:predict`;
    const answer = (await this.#call('POST', path, `{"instances":${instances}}`)) as { predictions?: number[][] };
    if (!Array.isArray(answer?.predictions)) throw new CommandError(`${this.url} is not a riskmodel server`);
    return answer.predictions;
  }

  async submitBatch(request: BatchRequest): Promise<Batch> {
    return (await this.#call('POST', '/batches', JSON.stringify(request))) as Batch;
  }

  async getBatch(id: string): Promise<Batch> {
    return (await this.#call('GET', `/batches/${encodeURIComponent(id)}`)) as Batch;
  }

  /** The newest batches first. */
  async listBatches(model?: string): Promise<Batch[]> {
    const query = model === undefined ? '' : `?model=${encodeURIComponent(model)}`;
    return ((await this.#call('GET', `/batches${query}`)) as { batches: Batch[] }).batches;
  }

  /** The batch as it then is, cancelled. Throws ApiError (409) when it is committed or has ended otherwise. */
  async cancelBatch(id: string): Promise<Batch> {
    return (await this.#call('DELETE', `/batches/${encodeURIComponent(id)}`)) as Batch;
  }

  async #call(method: string, path: string, body?: string): Promise<unknown> {
    const response = await this.#fetch(method, path, body);
    const text = await response.text();
    const answer = parseJson(text);
    if (!response.ok) throw new ApiError(response.status, this.#failure(response.status, answer, text));
    if (answer === undefined && text !== '') {
      throw new CommandError(`${this.url}${path} did not answer with JSON: is it a riskmodel server?`);
    }
    return answer;
  }

  #failure(status: number, answer: unknown, text: string): string {
    const { url } = this;
    if (status === 403) return `${url} knows the caller, who may not do this`;
    if (status !== 401) return errorMessage(answer, text, status);
    return this.#token === undefined
      ? `${url} wants to know who calls: give it an API key or a token in RISKMODEL_TOKEN`
      : `${url} does not accept the API key or token: it may have expired, be withdrawn, or be meant for another server`;
  }

  async #fetch(method: string, path: string, body: string | undefined): Promise<Response> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await fetch(`${this.url}${path}`, {
        method,
        ...(body !== undefined && { body }),
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        },
        signal: this.#signal ? AbortSignal.any([timeout, this.#signal]) : timeout,
      });
    } catch (cause) {
      if (this.#signal?.aborted) throw new CommandError('stopped before the server answered');
      if (timeout.aborted) throw new CommandError(`${this.url} did not answer within ${timeoutMs / 1_000} s`);
      throw new ServerUnreachable(this.url, cause);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The words of an error answer, `detail` or `error`: text, or a list of fields. Else the answer's beginning. */
function errorMessage(answer: unknown, text: string, status: number): string {
  const { detail, error } = (answer ?? {}) as { detail?: unknown; error?: unknown };
  const words = detail ?? error;
  if (typeof words === 'string') return words;
  if (Array.isArray(words)) return (words as FieldError[]).map(fieldMessage).join('\n');
  return `the server answered ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`;
}

interface FieldError {
  loc?: (string | number)[];
  msg?: string;
}

function fieldMessage({ loc = [], msg = 'is not valid' }: FieldError): string {
  return [loc.filter((part) => part !== 'body').join('.'), msg].filter((part) => part !== '').join(': ');
}
