import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import './no-telemetry.ts';
import { RiskModelError } from '../errors.ts';
import type { OpenSession, Session, SessionOptions } from './session.ts';

/** What the thread is asked to do; `session` is the number that the thread has given to one. */
export type ThreadCall =
  | { kind: 'open'; bytes: Uint8Array; width: number; options: SessionOptions | undefined }
  | { kind: 'run'; session: number; matrix: Float32Array; rows: number }
  | { kind: 'release'; session: number };

export interface ThreadRequest {
  id: number;
  call: ThreadCall;
}

/** A session as the thread tells of it. */
export interface OpenedSession {
  session: number;
  inputName: string;
  outputName: string;
}

export type ThreadReply = { id: number } & (
  | { value: OpenedSession | Float32Array | undefined }
  /** An error's class does not outlive the way between threads. */
  | { error: { code?: string; message: string } }
);

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

// TypeScript in the repository, JavaScript in the image: as this module is.
const program = join(import.meta.dirname, `session-thread-main${extname(import.meta.filename)}`);

/**
 * A thread whose sessions score beside what the process does otherwise: a call into onnxruntime keeps the thread that
 * makes it. One that dies takes the process with it, as any error that nobody handles.
 */
export class SessionThread {
  readonly #worker = new Worker(program);
  /** Sessions that nobody has any more are left to the thread's garbage collector, as others are to the process's. */
  readonly #abandoned = new FinalizationRegistry((session: number) => {
    if (!this.#hasEnded) void this.#call({ kind: 'release', session });
  });
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #hasEnded = false;

  constructor() {
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply));
    // It is there for its process, and does not keep it.
    this.#worker.unref();
  }

  /** `openSession` in the thread. Matrices over a SharedArrayBuffer are read where they are; others are copied. */
  readonly open: OpenSession = async (bytes, width, options): Promise<Session> => {
    const opened = await this.#call<OpenedSession>({ kind: 'open', bytes, width, options });
    const { session, inputName, outputName } = opened;
    const answer: Session = {
      inputName,
      outputName,
      run: (matrix, rows) => this.#call<Float32Array>({ kind: 'run', session, matrix, rows }),
      release: () => this.#call<void>({ kind: 'release', session }),
    };
    this.#abandoned.register(answer, session);
    return answer;
  };

  /** Ends the thread. What it was still asked for is answered by an error. */
  async close(): Promise<void> {
    this.#hasEnded = true;
    await this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(ended());
    this.#waiting.clear();
  }

  #call<T>(call: ThreadCall): Promise<T> {
    if (this.#hasEnded) return Promise.reject(ended());
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call } satisfies ThreadRequest);
    });
  }

  #settle(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('error' in reply) waiting?.reject(toError(reply.error));
    else waiting?.resolve(reply.value as never);
  }
}

function ended(): Error {
  return new Error('the thread that scores was ended');
}

function toError({ code, message }: { code?: string; message: string }): Error {
  return code === undefined ? new Error(message) : new RiskModelError(code, message);
}
