import { createPrivateKey, X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { issueCertificate } from './issue-certificate.ts';

const options = {
  hosts: ['webhook.risk-system.svc', 'localhost'] as const satisfies [string, ...string[]],
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2056-01-01T00:00:00Z'),
};

describe('a certificate that is issued', () => {
  const issued = issueCertificate({ ...options, hosts: [...options.hosts] });
  const [cert, ca] = [new X509Certificate(issued.cert), new X509Certificate(issued.ca)];

  test('is for the names that were asked for, and for serving only', () => {
    expect(cert.subjectAltName).toBe('DNS:webhook.risk-system.svc, DNS:localhost');
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(cert.ca).toBe(false);
    expect([cert.validFromDate, cert.validToDate]).toEqual([options.notBefore, options.notAfter]);
  });

  test('belongs to its key and to its authority', () => {
    expect(cert.checkPrivateKey(createPrivateKey(issued.key))).toBe(true);
    expect(cert.checkIssued(ca)).toBe(true);
    expect(cert.verify(ca.publicKey)).toBe(true);
    expect(ca.ca).toBe(true);
  });

  test('shares neither key nor authority with the next one', () => {
    const next = issueCertificate({ ...options, hosts: [...options.hosts] });
    expect(new X509Certificate(next.ca).subject).not.toBe(ca.subject);
    expect(cert.verify(new X509Certificate(next.ca).publicKey)).toBe(false);
  });

  test('holds what OpenSSL finds strict', () => {
    const folder = mkdtempSync(join(tmpdir(), 'riskmodel-certificate-'));
    try {
      for (const [name, text] of Object.entries(issued)) writeFileSync(join(folder, name), text);
      const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'localhost'];
      const checked = execFileSync('openssl', [...args, '-CAfile', 'ca', 'cert'], { cwd: folder, encoding: 'utf8' });
      expect(checked.trim()).toBe('cert: OK');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
