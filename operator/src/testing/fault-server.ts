import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeClient } from '../kube/client.ts';
import type { Connection } from '../kube/connection.ts';
import type { TransportOptions } from '../kube/transport.ts';

export interface ReceivedRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface FaultServer {
  readonly connection: Connection;
  readonly requests: ReceivedRequest[];
  /** How many connections were opened. */
  readonly connections: number;
  /** A client of it, with the options given. */
  client(options?: Partial<TransportOptions>): KubeClient;
  close(): Promise<void>;
}

/**
 * An HTTP server that answers as a test says, for what a real API server can't be made to do when a test wants it:
 * to fall silent, to break off in the middle of a line, to shed load.
 */
export async function startFaultServer(
  answer: (request: ReceivedRequest, response: ServerResponse, index: number) => void,
): Promise<FaultServer> {
  const requests: ReceivedRequest[] = [];
  const clients: KubeClient[] = [];
  let connections = 0;
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://fault');
      const { method = '', headers } = incoming;
      const query = Object.fromEntries(url.searchParams);
      const request = { method, path: url.pathname, query, headers, body: Buffer.concat(chunks).toString('utf8') };
      answer(request, response, requests.push(request) - 1);
    });
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection: Connection = {
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tls: {},
    authHeaders: () => Promise.resolve({}),
  };
  return {
    connection,
    requests,
    get connections() {
      return connections;
    },
    client: (options = {}) => {
      const client = new KubeClient({ connection, ...options });
      clients.push(client);
      return client;
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Answers with JSON. */
export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** The body of an answer that refuses. */
export function statusBody(code: number, reason: string, message = reason): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}
