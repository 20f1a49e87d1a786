import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { messageOf } from '@riskmodel/core/errors.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import { makeReview, parseReview, type AdmissionRequest, type AdmissionResponse } from './admission-review.ts';
import type { ServingCertificate } from './certificate-set.ts';
import type { WebhookMetrics } from './webhook-metrics.ts';

export interface WebhookServerOptions {
  /** 0 for any free one. */
  port: number;
  host?: string;
  review: (request: AdmissionRequest) => Promise<AdmissionResponse>;
  metrics: WebhookMetrics;
  logger: Logger;
}

/** Two objects of etcd's largest size, and what is around them; what others take for the most, too. */
const longestBodyBytes = 7 * 1024 * 1024;
/** Longer than the 90 s for which API servers keep connections, so that it is never this side that closes one. */
const keepAliveMs = 120_000;
/** How long answers may still take when the server closes. */
const closingMs = 5_000;
const path = '/validate';

/** Answers AdmissionReviews over HTTPS at `/validate`. The certificate can be changed while it runs. */
export class WebhookServer {
  readonly #options: WebhookServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: WebhookServerOptions, { cert, key }: ServingCertificate) {
    this.#options = options;
    this.#server = createServer({ cert, key, minVersion: 'TLSv1.2', keepAliveTimeout: keepAliveMs });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** @returns the port that is listened to. */
  async listen(): Promise<number> {
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Serves another certificate to all who connect from now on. */
  use({ cert, key }: ServingCertificate): void {
    this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  }

  /** Answers what was asked, and takes no more. Whoever takes longer than a few seconds is cut off. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    // Of connections that are still shaking hands, the server itself knows nothing.
    const giveUp = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), closingMs);
    await closed;
    clearTimeout(giveUp);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const observe = this.#options.metrics.begin();
    const [status, body] = await this.#respond(request);
    // A server that is closing lets nobody stay.
    const connection = this.#server.listening ? {} : { connection: 'close' };
    response.writeHead(status, {
      'content-type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json',
      'x-content-type-options': 'nosniff',
      ...connection,
    });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
    observe(status);
  }

  async #respond(request: IncomingMessage): Promise<[status: number, body: string | object]> {
    if ((request.url ?? '').split('?')[0] !== path) return [404, 'Not Found\n'];
    if (request.method !== 'POST') return [405, 'Method Not Allowed\n'];
    let admission: AdmissionRequest;
    try {
      const body = await readBody(request);
      if (body === undefined) return [413, `must have at most ${longestBodyBytes} bytes\n`];
      admission = parseReview(body);
    } catch (error) {
      return [400, `${messageOf(error)}\n`];
    }
    try {
      const decision = await this.#options.review(admission);
      this.#options.metrics.decided(admission, decision);
      return [200, makeReview(decision)];
    } catch (err) {
      this.#options.logger.error({ err, kind: admission.kind.kind, name: admission.name }, 'cannot review an object');
      return [500, 'Internal Server Error\n'];
    }
  }
}

/** The whole body, or undefined when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // The rest is read too, for a client that is still sending reads no answer.
    if (length <= longestBodyBytes) chunks.push(chunk);
  }
  return length > longestBodyBytes ? undefined : Buffer.concat(chunks).toString();
}
