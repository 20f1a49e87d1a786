import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { issueCertificate, type IssuedCertificate } from './issue-certificate.ts';
import { MountedCertificate } from './mounted-certificate.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'riskmodel-mounted-'));
});

afterEach(() => rm(folder, { recursive: true }));

const issue = (): IssuedCertificate =>
  issueCertificate({ hosts: ['webhook.risk-system.svc'], notBefore: new Date(0), notAfter: new Date() });

async function mount({ cert, key }: { cert: string; key: string }): Promise<void> {
  await Promise.all([writeFile(join(folder, 'tls.crt'), cert), writeFile(join(folder, 'tls.key'), key)]);
}

test('the files are read anew each time', async () => {
  const source = new MountedCertificate(folder);
  for (const { cert, key } of [issue(), issue()]) {
    await mount({ cert, key });
    expect(await source.read()).toEqual({ cert, key });
  }
});

test('files that are not there, no certificate, or not of each other are told of', async () => {
  const source = new MountedCertificate(folder);
  const message = `cannot read a certificate and its key in ${folder}: cert-manager makes them`;
  await expect(source.read()).rejects.toThrow(message);
  await mount({ cert: 'nonsense', key: issue().key });
  await expect(source.read()).rejects.toThrow(message);
  await mount({ cert: issue().cert, key: issue().key });
  await expect(source.read()).rejects.toThrow(message);
});
