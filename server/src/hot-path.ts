import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ErrorAnswer } from './http/error-handler.ts';
import { contextOf } from './http/request-context.ts';
import { open, type Access } from './http/routing.ts';
import { answerJsonAtOnce, sendAnswer, setCommonHeaders, type Answer } from './http/send.ts';

/** A call that is answered without Express. */
export interface HotCall {
  /** The pattern that it is counted by, such as /v1/models/{model}:predict. */
  route: string;
  access: Access;
  answer: (request: IncomingMessage) => Promise<Answer>;
  onError: ErrorAnswer;
}

/**
 * Answers the calls that are nearly all of a server's traffic, by their exact path, and hands every other to the app
 * behind it. Express takes longer to find a handler, and to write an answer header by header, than a model of trees takes
 * to score; what is called and what is answered is the same on both ways.
 *
 * @param calls by path; all of them are POST
 */
export function hotPath(calls: ReadonlyMap<string, HotCall>, app: RequestListener): RequestListener {
  return (request, response) => {
    const call = request.method === 'POST' ? calls.get(request.url ?? '') : undefined;
    if (call === undefined) app(request, response);
    else void serve(call, request, response);
  };
}

async function serve(call: HotCall, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const context = contextOf(request);
  context.route = call.route;
  try {
    if (call.access !== open) {
      await call.access(request, response);
      if (response.destroyed) return;
    }
    const answer = await call.answer(request);
    if (typeof answer === 'string') {
      answerJsonAtOnce(context.requestId, response, answer);
    } else {
      setCommonHeaders(request, response);
      sendAnswer(response, answer);
    }
  } catch (error) {
    if (!response.headersSent) setCommonHeaders(request, response);
    call.onError(error, request, response);
  }
}
