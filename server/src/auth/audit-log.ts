import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { statusOf } from '../http/error-handler.ts';
import { requestIdOf } from '../http/request-context.ts';
import { callerOf, type Caller } from './caller.ts';

/** What a caller asked of the batches, as far as it was understood. */
export interface AuditedRequest {
  model?: string;
  /** The input's URI. */
  input?: string;
  batchId?: string;
  /** Written as its hash: a key may be made of something that is nobody's business. */
  idempotencyKey?: string | undefined;
}

/**
 * One line for each request that starts a batch or calls one off: who, what, and what came of it. The lines have
 * `audit: true`, by which a sink finds them, and are written whatever the level of the log.
 */
export class AuditLog {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger.child({ audit: true }, { level: 'info' });
  }

  /**
   * Does what the request asks for and writes the line.
   *
   * @param run tells what it is about by filling in what it is given
   */
  async record<T>(
    request: IncomingMessage,
    action: 'submit' | 'cancel',
    run: (asked: AuditedRequest) => Promise<T>,
  ): Promise<T> {
    const asked: AuditedRequest = {};
    try {
      const result = await run(asked);
      this.#write(request, callerOf(request), action, 200, asked);
      return result;
    } catch (error) {
      this.#write(request, callerOf(request), action, statusOf(error), asked);
      throw error;
    }
  }

  /** A caller who is known was turned away. */
  refused(request: IncomingMessage, caller: Caller, status: number): void {
    const action = request.method === 'DELETE' ? 'cancel' : 'submit';
    this.#write(request, caller, action, status, {});
  }

  #write(
    request: IncomingMessage,
    { name, method }: Caller,
    action: string,
    status: number,
    { idempotencyKey, ...asked }: AuditedRequest,
  ): void {
    const outcome = status < 400 ? 'accepted' : status < 500 ? 'refused' : 'failed';
    this.#logger.info(
      {
        action: `batch.${action}`,
        outcome,
        ...(outcome !== 'accepted' && { status }),
        caller: name,
        authentication: method,
        ...asked,
        ...(idempotencyKey !== undefined && {
          idempotencyKeySha256: createHash('sha256').update(idempotencyKey).digest('hex'),
        }),
        requestId: requestIdOf(request),
      },
      `batch ${action} ${outcome}`,
    );
  }
}
