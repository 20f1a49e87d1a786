import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { kubeconfigConnection } from './kubeconfig.ts';
import { loadConnection } from './load-connection.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(user: object, cluster: object = {}): Promise<string> {
  const file = join(folder, 'config');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'risk' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://api:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  };
  await writeFile(file, stringify(config));
  return file;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the connection of a kubeconfig', () => {
  test.each([
    ['a token', { token: 't' }, { authorization: 'Bearer t' }],
    ['a name and password', { username: 'a', password: 'b' }, { authorization: `Basic ${base64('a:b')}` }],
    ['a certificate only', { 'client-certificate-data': base64('cert'), 'client-key-data': base64('key') }, {}],
    ['somebody to impersonate', { token: 't', as: 'jane' }, { authorization: 'Bearer t', 'impersonate-user': 'jane' }],
  ])('with %s', async (_, user, headers) => {
    const connection = await kubeconfigConnection(await write(user));
    expect(connection).toMatchObject({ server: 'https://api:6443', namespace: 'risk' });
    expect(await connection.authHeaders()).toEqual(headers);
  });

  test('has the certificates', async () => {
    const user = { 'client-certificate-data': base64('cert'), 'client-key-data': base64('key') };
    const file = await write(user, { 'certificate-authority-data': base64('ca'), 'tls-server-name': 'name' });
    const { tls } = await kubeconfigConnection(file);
    const read = Object.fromEntries(
      Object.entries(tls).map(([name, value]) => [name, (value as string | Buffer).toString()]),
    );
    expect(read).toEqual({ ca: 'ca', cert: 'cert', key: 'key', servername: 'name' });
  });

  test('asks a plugin for the token', async () => {
    const credential = {
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      status: { token: 'x' },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', `console.log(${JSON.stringify(JSON.stringify(credential))})`],
      interactiveMode: 'Never',
    };
    const connection = await kubeconfigConnection(await write({ exec }));
    expect(await connection.authHeaders()).toEqual({ authorization: 'Bearer x' });
  });

  test('goes through a proxy if it says so', async () => {
    const file = await write({ token: 't' }, { 'proxy-url': 'http://proxy:3128' });
    expect(await kubeconfigConnection(file)).toMatchObject({ proxyUrl: 'http://proxy:3128' });
  });

  test('is refused when the file is not there', async () => {
    await expect(kubeconfigConnection(join(folder, 'none'))).rejects.toThrow('ENOENT');
  });
});

test('a kubeconfig that is named comes before the pod one runs in', async () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
  expect(await loadConnection(env, await write({ token: 't' }))).toMatchObject({ server: 'https://api:6443' });
});
