import { readNotification, uriOf } from '@riskmodel/core/batches/triggers.ts';
import { Router, type Request, type Response } from 'express';
import type { AuditLog } from '../auth/audit-log.ts';
import type { Guard } from '../auth/guard.ts';
import type { BatchService } from '../batches/batch-service.ts';
import { readJson } from '../http/body.ts';
import { isObject, unprocessable } from '../http/http-error.ts';
import { route } from '../http/routing.ts';

interface Deps {
  batches: BatchService;
  guard: Guard;
  audit: AuditLog;
  bodyLimit: number;
}

/**
 * Where a Pub/Sub push subscription delivers the notifications of buckets. An answer of 2xx acknowledges one; any other
 * has it come again, and go to the subscription's dead-letter topic after as many attempts as that allows.
 * https://cloud.google.com/pubsub/docs/push#receive_push
 */
export function notificationRoutes(deps: Deps): Router {
  const router = Router();
  route(router, '/notifications', deps.guard.batch, {
    post: (request, response) => take(deps, request, response),
  });
  return router;
}

async function take({ batches, audit, bodyLimit }: Deps, request: Request, response: Response): Promise<void> {
  const object = readNotification(attributesOf(await readJson(request, bodyLimit)));
  // Most of what a bucket tells is for nobody here, and worth no line of the audit log.
  const started = object === undefined ? [] : await batches.startTriggered(object);
  for (const { id, model } of started) {
    await audit.record(request, 'submit', async (asked) => {
      Object.assign(asked, { model, input: object && uriOf(object), batchId: id });
    });
  }
  response.status(204).end();
}

/** The attributes of the message that a push request carries. */
function attributesOf(body: unknown): Record<string, string> {
  const message = isObject(body) ? body['message'] : undefined;
  if (!isObject(message)) {
    throw unprocessable([{ loc: ['body', 'message'], msg: 'is missing; must be a Pub/Sub message', type: 'missing' }]);
  }
  const attributes = message['attributes'] ?? {};
  if (!isObject(attributes) || !Object.values(attributes).every((value) => typeof value === 'string')) {
    throw unprocessable([
      { loc: ['body', 'message', 'attributes'], msg: 'must be an object of strings', type: 'dict_type' },
    ]);
  }
  return attributes as Record<string, string>;
}
