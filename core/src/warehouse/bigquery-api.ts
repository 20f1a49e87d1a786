import { setTimeout as sleep } from 'node:timers/promises';
import { BigQuery } from '@google-cloud/bigquery';
import { PassThroughClient } from 'google-auth-library';
import type { RiskModelError } from '../errors.ts';
import { explainFailure, failureOf, isPassing, type Failure } from './bigquery-failure.ts';

export interface BigQueryOptions {
  /** The project of the datasets, whose jobs these are; without it, that of the credentials. */
  project?: string;
  /** Where jobs run, such as `EU`; without it, where their dataset is. */
  location?: string;
  /**
   * Another address than BigQuery's own. One of plain http, such as `http://127.0.0.1:9050`, is an emulator's, and gets
   * no credentials; everything else is called with the Application Default Credentials.
   */
  endpoint?: string;
  /** Milliseconds that one call may take (default 60,000). */
  callTimeout?: number;
  /** Milliseconds that a job is waited for (default an hour). */
  jobTimeout?: number;
  clock?: Clock;
}

/** Time and chance, for tests to have their own. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) => sleep(milliseconds),
  random: () => Math.random(),
};

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH';
  /** Below the project, such as `/jobs`; or a whole address, as `urlOf` makes it. */
  uri: string;
  qs?: Record<string, string>;
  json?: object;
  headers?: Record<string, string>;
}

/** What a request is for, for the message when it fails. */
export interface Purpose {
  /** Such as `reading table risk.results`. */
  action: string;
  /** The role that it takes. */
  needed: string;
}

/** A call that BigQuery refused with one of the statuses that the caller said it knows what to do about. */
export class RefusedCall extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Waits double from try to try; with the last, a call has been tried for about half a minute. */
const mostTries = 7;
const firstWait = 500;

/**
 * Calls of BigQuery's REST API through Google's client, which knows addresses and credentials. Each has a deadline, and
 * is made again when it failed for a reason that passes. So a call may be made twice, and only such may be made whose
 * second time changes nothing.
 */
export class BigQueryApi {
  readonly clock: Clock;
  readonly #client: BigQuery;
  readonly #callTimeout: number;
  #project: string | undefined;

  constructor({ project, endpoint, callTimeout = 60_000, clock = systemClock }: BigQueryOptions) {
    this.clock = clock;
    this.#callTimeout = callTimeout;
    this.#project = project;
    this.#client = new BigQuery({
      ...(project !== undefined && { projectId: project }),
      ...(endpoint !== undefined && { apiEndpoint: endpoint }),
      ...(endpoint?.startsWith('http://') && { authClient: new PassThroughClient() }),
      // Tried again here, where there is a deadline and chance in the waits.
      retryOptions: { autoRetry: false },
    });
  }

  /** The project when it is known: given, or found by a call of `findProject`. */
  get knownProject(): string | undefined {
    return this.#project;
  }

  /** The project: the one given, or the one of the credentials. */
  async findProject(): Promise<string> {
    this.#project ??= await this.#client.getProjectId().catch((error: unknown) => {
      throw explainFailure('finding the project', failureOf(error), 'a project: set GOOGLE_CLOUD_PROJECT');
    });
    return this.#project;
  }

  /** The address of something of any project; `path` is below it. */
  urlOf(project: string, path: string): string {
    return `${this.#client.baseUrl}/projects/${project}${path}`;
  }

  /**
   * Makes a call.
   *
   * @param expected statuses that are thrown as `RefusedCall`
   * @throws RiskModelError `AccessDenied`, `QuotaExceeded`, `BigQueryUnavailable`, `NoCredentials`, `BigQueryError`
   */
  async call<T>(request: ApiRequest, { action, needed }: Purpose, expected: readonly number[] = []): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once<T>(request);
      } catch (error) {
        const failure = failureOf(error);
        if (failure.status !== undefined && expected.includes(failure.status)) throw new RefusedCall(failure);
        if (!isPassing(failure) || tries === mostTries) throw explainFailure(action, failure, needed);
        await this.pause(firstWait * 2 ** (tries - 1));
      }
    }
  }

  /** Waits for between half and all of the time, so that those who failed together don't come again together. */
  pause(milliseconds: number): Promise<void> {
    return this.clock.sleep(milliseconds * (0.5 + this.clock.random() / 2));
  }

  /** The client has no deadlines of its own: a connection that says nothing more is left to itself. */
  async #once<T>(request: ApiRequest): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = setTimeout(() => reject(new Error(`no answer in ${this.#callTimeout / 1_000} s`)), this.#callTimeout);
    try {
      this.#client.request(request, (error, body) => {
        if (error) reject(error);
        else resolve(body as T);
      });
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What `error` was refused with, when it is a `RefusedCall`; throws it when it is not. */
export function refusalOf(error: unknown): Failure & { status: number } {
  if (!(error instanceof RefusedCall)) throw error as RiskModelError;
  return error.failure as Failure & { status: number };
}
