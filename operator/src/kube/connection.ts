import type { ConnectionOptions } from 'node:tls';

/** How the API server is reached: the edge where kubeconfig files and mounted tokens have become one typed value. */
export interface Connection {
  /** The server's address, `https://HOST:PORT`, perhaps with a path. */
  server: string;
  /** CA, client certificate and server name. */
  tls: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'>;
  /** Headers that say who asks. Called for each request, since tokens are renewed while the program runs. */
  authHeaders: () => Promise<Record<string, string>>;
  /** The HTTP proxy in between, if any. */
  proxyUrl?: string;
  /** The namespace to work in when nothing names another. */
  namespace?: string;
}
