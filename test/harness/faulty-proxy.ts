import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** What becomes of one call. */
export type Fate =
  /** It goes to the server, and its answer comes back. */
  | 'pass'
  /** The connection is reset before the server hears of it. */
  | 'reset'
  /** The server acts on it, and the connection is reset instead of its answer. */
  | 'lose-reply'
  /** The server does not hear of it; the proxy answers with a status, as an overloaded front end does. */
  | { status: number; body?: string; headers?: Record<string, string> }
  /** The answer's body comes in pieces of `pieceBytes` (default 64 KiB), with pauses of so many milliseconds. */
  | { slow: number; pieceBytes?: number }
  /**
   * The answer's body ends after so many bytes: by a reset of the connection, or `quietly`, as if that were all of it
   * (a body without a length, which ends with its connection).
   */
  | { truncateAfter: number; quietly?: boolean };

/** A call that the proxy saw. */
export interface ProxiedCall {
  /** 0 for the first call. */
  index: number;
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string | string[] | undefined>;
  fate: Fate;
  /** The server's status, when it answered; also where the answer was lost. */
  status?: number;
  /** Bytes of the answer's body that were passed on. */
  bytes: number;
}

/** Decides what becomes of a call, by its place and what it asks. The same decisions make the same run. */
export type DecideFate = (call: Pick<ProxiedCall, 'index' | 'method' | 'path' | 'headers'>) => Fate;

/**
 * An HTTP/1.1 proxy in front of one server that does to each call what a test decides. `location` headers that lead to
 * the server lead to the proxy instead, so that uploads in several requests stay with it.
 */
export class FaultyProxy {
  readonly url: string;
  readonly calls: ProxiedCall[] = [];
  /** May be set anew at any time. */
  decide: DecideFate = () => 'pass';
  /** Hears of each call on which the server acted, before anything of its answer is passed on. */
  onAnswer: (call: ProxiedCall) => void = () => {};
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(upstream: string, server: Server) {
    this.#upstream = new URL(upstream);
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** @param upstream the server's address, such as http://127.0.0.1:4443 */
  static async start(upstream: string): Promise<FaultyProxy> {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const proxy = new FaultyProxy(upstream, server);
    server.on('request', (incoming, answer) => {
      proxy.#serve(incoming, answer).catch(() => incoming.socket.destroy());
    });
    // What a client sends on a connection that was reset is nobody's business.
    server.on('clientError', (_error, socket) => socket.destroy());
    return proxy;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    this.#agent.destroy();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const asked = { index: this.calls.length, method, path, headers };
    const fate = this.decide(asked);
    const call: ProxiedCall = { ...asked, fate, bytes: 0 };
    this.calls.push(call);
    if (fate === 'reset') {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (typeof fate === 'object' && 'status' in fate) {
      call.status = fate.status;
      await takeRest(incoming);
      answer.writeHead(fate.status, fate.headers).end(fate.body ?? '');
      return;
    }
    const reply = await this.#forward(incoming);
    call.status = reply.statusCode ?? 0;
    this.onAnswer(call);
    // The server may have refused it before it had all of it.
    incoming.unpipe();
    await takeRest(incoming);
    if (fate === 'lose-reply') {
      for await (const _ of reply);
      incoming.socket.resetAndDestroy();
      return;
    }
    await this.#pass(reply, answer, fate, call);
  }

  async #forward(incoming: IncomingMessage): Promise<IncomingMessage> {
    const { hostname, port } = this.#upstream;
    const headers = { ...incoming.headers, host: this.#upstream.host };
    const outgoing = request({
      hostname,
      port,
      method: incoming.method,
      path: incoming.url,
      headers,
      agent: this.#agent,
    });
    incoming.pipe(outgoing);
    incoming.once('error', (error) => outgoing.destroy(error));
    const [reply] = (await once(outgoing, 'response')) as [IncomingMessage];
    return reply;
  }

  async #pass(reply: IncomingMessage, answer: ServerResponse, fate: Fate, call: ProxiedCall): Promise<void> {
    const headers = { ...reply.headers };
    if (headers.location !== undefined) headers.location = headers.location.replace(this.#upstream.origin, this.url);
    const cut = typeof fate === 'object' && 'truncateAfter' in fate ? fate : undefined;
    if (cut?.quietly === true) {
      delete headers['content-length'];
      delete headers['transfer-encoding'];
      headers.connection = 'close';
      answer.chunkedEncoding = false;
      answer.useChunkedEncodingByDefault = false;
    }
    answer.writeHead(reply.statusCode ?? 502, headers);
    answer.flushHeaders();
    for await (const body of reply as AsyncIterable<Buffer>) {
      for (const piece of pieces(body, fate)) {
        const left = (cut?.truncateAfter ?? Infinity) - call.bytes;
        const sent = piece.subarray(0, Math.min(left, piece.length));
        call.bytes += sent.length;
        if (!answer.write(sent)) await canGoOn(answer);
        if (answer.destroyed) return;
        if (left <= piece.length) return endEarly(answer, cut?.quietly === true);
        if (typeof fate === 'object' && 'slow' in fate) await sleep(fate.slow, undefined, { ref: false });
      }
    }
    if (cut !== undefined) endEarly(answer, cut.quietly === true);
    else answer.end();
  }
}

/** Takes what is still being sent of a request: whoever sends it would see a reset, and not the answer. */
async function takeRest(incoming: IncomingMessage): Promise<void> {
  await finished(incoming.resume());
}

/** Waits until the client has taken what was written, or has gone. */
async function canGoOn(answer: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  answer.on('drain', resolve).on('close', resolve);
  await promise;
  answer.off('drain', resolve).off('close', resolve);
}

/** What was written is sent before the connection ends, or is reset. */
function endEarly(answer: ServerResponse, quietly: boolean): void {
  if (quietly) answer.socket?.end();
  else setImmediate(() => answer.socket?.destroy());
}

function* pieces(body: Buffer, fate: Fate): Iterable<Buffer> {
  const length = typeof fate === 'object' && 'slow' in fate ? (fate.pieceBytes ?? 1 << 16) : body.length;
  for (let at = 0; at < body.length; at += length) yield body.subarray(at, at + length);
}
