/** What a client needs to reach an API server as somebody. */
export interface Credentials {
  server: string;
  /** The PEM certificates that the server's own is checked against. */
  ca: string;
  /** A client certificate, or a bearer token. */
  as: { cert: string; key: string } | { token: string };
  /** Where the client works unless it says so. */
  namespace?: string;
}

/** The text of a kubeconfig file, which holds all it refers to. It is JSON, which every reader of YAML reads. */
export function makeKubeconfig({ server, ca, as, namespace = 'default' }: Credentials): string {
  const user =
    'token' in as
      ? { token: as.token }
      : { 'client-certificate-data': toBase64(as.cert), 'client-key-data': toBase64(as.key) };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': toBase64(ca) } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
    'current-context': 'test',
  });
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}
