import { describe, expect, test } from '@jest/globals';
import {
  certificateToServe,
  expiryOf,
  needsRotation,
  readCertificateSet,
  rotate,
  writeCertificateSet,
  type CertificateSet,
} from './certificate-set.ts';

const host = 'webhook.risk-system.svc';
const hour = 3_600_000;
const day = 24 * hour;
const times = { lifeMs: 90 * day, settleMs: hour };
const start = Date.UTC(2026, 0, 1);

const first = rotate(undefined, { host, now: start, times });
const second = rotate(first, { host, now: start + 60 * day, times });
const third = rotate(second, { host, now: start + 120 * day, times });

function count(bundle: string): number {
  return bundle.split('BEGIN CERTIFICATE').length - 1;
}

describe('a set of certificates', () => {
  test('begins with one, which is served at once', () => {
    expect(first.previous).toBeUndefined();
    expect(count(first.bundle)).toBe(1);
    expect(certificateToServe(first, { now: start, settleMs: hour, isTrusted: false })).toBe(first.newest);
    expect(expiryOf(first.newest.cert)).toBe(start + times.lifeMs);
  });

  test.each([
    ['nothing is there', undefined, start, true],
    ['it is new', first, start, false],
    ['two thirds of its life have almost gone', first, start + 60 * day - 1000, false],
    ['two thirds of its life have gone', first, start + 60 * day, true],
    ['it has expired', first, start + 91 * day, true],
    ['it was renewed', second, start + 60 * day, false],
  ] as [string, CertificateSet | undefined, number, boolean][])(
    'is renewed when %s: %#',
    (_name, set, now, expected) => {
      expect(needsRotation(set, now)).toBe(expected);
    },
  );

  test('trusts the old authority beside the new one while the old certificate lives', () => {
    expect(second.previous).toEqual(first.newest);
    expect(second.bundle.startsWith(first.bundle)).toBe(true);
    expect(count(second.bundle)).toBe(2);
    expect(count(third.bundle)).toBe(2);
    expect(third.bundle).not.toContain(first.bundle);
  });

  test('forgets what has expired', () => {
    const late = rotate(first, { host, now: start + 365 * day, times });
    expect(late.previous).toBeUndefined();
    expect(count(late.bundle)).toBe(1);
  });

  const renewed = start + 60 * day;
  test.each([
    ['the one before, while API servers learn of the new one', renewed + hour - 1000, true, second.previous],
    ['the new one, after that', renewed + hour, true, second.newest],
    ['the one before, when nobody could be told of the new one', renewed + hour, false, second.previous],
    ['the new one, when the one before has expired', start + 90 * day, false, second.newest],
  ] as const)('serves %s', (_name, now, isTrusted, expected) => {
    expect(certificateToServe(second, { now, settleMs: hour, isTrusted })).toEqual(expected);
  });
});

describe('a Secret', () => {
  test('holds it all', () => {
    for (const set of [first, second]) expect(readCertificateSet(writeCertificateSet(set), host)).toEqual(set);
  });

  const data = writeCertificateSet(second);
  test.each([
    ['it is empty', {}],
    ['it holds no certificate', { ...data, 'tls.crt': Buffer.from('nonsense').toString('base64') }],
    ['it lacks the key', { 'tls.crt': data['tls.crt'] ?? '', 'ca.crt': data['ca.crt'] ?? '' }],
    ['its key is of another certificate', { ...data, 'tls.key': data['previous-tls.key'] ?? '' }],
    ['its authority is another', { ...data, 'ca.crt': Buffer.from(first.bundle).toString('base64') }],
  ])('is nothing to serve when %s', (_name, damaged) => {
    expect(readCertificateSet(damaged, host)).toBeUndefined();
  });

  test('is nothing to serve for another host', () => {
    expect(readCertificateSet(data, 'other.risk-system.svc')).toBeUndefined();
  });

  test('is read without a certificate before that is damaged', () => {
    const damaged = { ...data, 'previous-tls.key': 'AAAA' };
    expect(readCertificateSet(damaged, host)).toEqual({ ...second, previous: undefined });
  });
});
