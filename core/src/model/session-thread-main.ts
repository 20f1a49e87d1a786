// What a `SessionThread` runs.
import { parentPort } from 'node:worker_threads';
import { messageOf, RiskModelError } from '../errors.ts';
import { openSession, type Session } from './session.ts';
import type { ThreadCall, ThreadReply, ThreadRequest } from './session-thread.ts';

const sessions = new Map<number, Session>();
let lastSession = 0;

async function answer(call: ThreadCall): Promise<Extract<ThreadReply, { value: unknown }>['value']> {
  if (call.kind === 'open') {
    const session = await openSession(call.bytes, call.width, call.options);
    const { inputName, outputName } = session;
    sessions.set(++lastSession, session);
    return { session: lastSession, inputName, outputName };
  }
  if (call.kind === 'run') {
    const session = sessions.get(call.session);
    if (session === undefined) throw new Error('the session was released');
    return session.run(call.matrix, call.rows);
  }
  // Not released at once: a run may be under way.
  sessions.delete(call.session);
  return undefined;
}

function describe(error: unknown): Extract<ThreadReply, { error: unknown }>['error'] {
  const message = messageOf(error);
  return error instanceof RiskModelError ? { code: error.code, message } : { message };
}

parentPort?.on('message', ({ id, call }: ThreadRequest) => {
  answer(call).then(
    (value) => {
      const moved = value instanceof Float32Array ? [value.buffer as ArrayBuffer] : [];
      parentPort?.postMessage({ id, value } satisfies ThreadReply, moved);
    },
    (error: unknown) => parentPort?.postMessage({ id, error: describe(error) } satisfies ThreadReply),
  );
});
