import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

export interface SeenRequest {
  method: string;
  path: string;
  body: string;
  /** Of the header `authorization`, if there is one. */
  authorization?: string;
}

export interface FakeServer {
  url: string;
  /** What was asked, in order. */
  requests: SeenRequest[];
  close(): Promise<void>;
}

/** An HTTP server on 127.0.0.1 that answers what `answer` returns for a request: a status and a JSON body. */
export async function startFakeServer(answer: (request: SeenRequest) => [number, unknown]): Promise<FakeServer> {
  const requests: SeenRequest[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { authorization } = request.headers;
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        body,
        ...(authorization !== undefined && { authorization }),
      };
      requests.push(seen);
      const [status, value] = answer(seen);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
