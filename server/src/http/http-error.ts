/** An answer other than success, thrown by a route and written by the error handler. */
export class HttpError extends Error {
  readonly status: number;
  /** What the client is told: a sentence, or a list of problems as FastAPI gives them. Never holds feature values. */
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: unknown, options: { headers?: Record<string, string>; cause?: unknown } = {}) {
    super(
      typeof detail === 'string' ? detail : `HTTP ${status}`,
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = 'HttpError';
    this.status = status;
    this.detail = detail;
    this.headers = options.headers ?? {};
  }
}

/** One problem with a request's body, in the shape that FastAPI answers. */
export interface FieldProblem {
  loc: readonly (string | number)[];
  msg: string;
  type: string;
}

/** 422 with every problem of the body. */
export function unprocessable(problems: readonly FieldProblem[]): HttpError {
  return new HttpError(422, problems);
}

/** The one problem of a body that should be an object and is not. */
export function notAnObject(): HttpError {
  return unprocessable([{ loc: ['body'], msg: 'must be a JSON object', type: 'dict_type' }]);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
