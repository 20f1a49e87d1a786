import { createPrivateKey, X509Certificate } from 'node:crypto';
import { issueCertificate } from './issue-certificate.ts';

/** A certificate and its key, PEM. */
export interface ServingCertificate {
  cert: string;
  key: string;
}

/** What a Secret holds of certificates. All that are in use are vouched for by `bundle`, at any moment. */
export interface CertificateSet {
  newest: ServingCertificate;
  /** The one before, until it has expired. */
  previous: ServingCertificate | undefined;
  /** The authorities that clients are to trust: those of both certificates. PEM. */
  bundle: string;
}

/** How long certificates live and when they change, in milliseconds. */
export interface CertificateTimes {
  lifeMs: number;
  /** How long a new certificate waits to be served: within it, every API server learns whom to trust from now on. */
  settleMs: number;
}

export const certificateTimes: CertificateTimes = { lifeMs: 90 * 24 * 3_600_000, settleMs: 10 * 60_000 };

/** Clocks of other machines may be behind by so much. It is no part of a certificate's life. */
const backdateMs = 5 * 60_000;

/** The keys of a Secret's data, those of kubernetes.io/tls for the newest. */
const keys = {
  cert: 'tls.crt',
  key: 'tls.key',
  bundle: 'ca.crt',
  previousCert: 'previous-tls.crt',
  previousKey: 'previous-tls.key',
} as const;

/** A Secret's data: base64 by key. */
export type SecretData = Record<string, string>;

/** What a Secret's data says, or undefined when it holds no certificate that could be served under the host's name. */
export function readCertificateSet(data: SecretData, host: string): CertificateSet | undefined {
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const newest = { cert: text(keys.cert), key: text(keys.key) };
  const bundle = text(keys.bundle);
  if (!isUsable(newest, bundle, host)) return undefined;
  const previous = { cert: text(keys.previousCert), key: text(keys.previousKey) };
  return { newest, previous: isUsable(previous, bundle, host) ? previous : undefined, bundle };
}

export function writeCertificateSet({ newest, previous, bundle }: CertificateSet): SecretData {
  const texts: Record<string, string> = { [keys.cert]: newest.cert, [keys.key]: newest.key, [keys.bundle]: bundle };
  if (previous) Object.assign(texts, { [keys.previousCert]: previous.cert, [keys.previousKey]: previous.key });
  return Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}

/** Whether it is time for a new certificate: there is none, or two thirds of the newest one's life have gone. */
export function needsRotation(set: CertificateSet | undefined, now: number): boolean {
  if (set === undefined) return true;
  const { issuedAt, expiresAt } = lifeOf(set.newest);
  return now >= issuedAt + ((expiresAt - issuedAt) * 2) / 3;
}

/** A set with a new certificate. What was the newest is kept, and its authority trusted, while it has not expired. */
export function rotate(
  set: CertificateSet | undefined,
  { host, now, times }: { host: string; now: number; times: CertificateTimes },
): CertificateSet {
  const issued = issueCertificate({
    hosts: [host],
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + times.lifeMs),
  });
  const previous = set && lifeOf(set.newest).expiresAt > now ? set.newest : undefined;
  const trusted = previous ? split(set?.bundle ?? '').filter((ca) => expiryOf(ca) > now) : [];
  return { newest: { cert: issued.cert, key: issued.key }, previous, bundle: [...trusted, issued.ca].join('') };
}

/**
 * The certificate to serve: the newest once everybody had time to learn of it, and until then the one before. Only time
 * decides, so replicas need not agree on a moment: both certificates are trusted while either may be served.
 * @param isTrusted whether clients were told to trust the set's bundle.
 */
export function certificateToServe(
  { newest, previous }: CertificateSet,
  { now, settleMs, isTrusted }: { now: number; settleMs: number; isTrusted: boolean },
): ServingCertificate {
  if (previous === undefined || lifeOf(previous).expiresAt <= now) return newest;
  return isTrusted && now >= lifeOf(newest).issuedAt + settleMs ? newest : previous;
}

/** The moment a certificate expires, in milliseconds since the epoch. */
export function expiryOf(cert: string): number {
  return new X509Certificate(cert).validToDate.getTime();
}

function lifeOf({ cert }: ServingCertificate): { issuedAt: number; expiresAt: number } {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  return { issuedAt: validFromDate.getTime() + backdateMs, expiresAt: validToDate.getTime() };
}

function isUsable({ cert, key }: ServingCertificate, bundle: string, host: string): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return (
      certificate.checkHost(host) !== undefined &&
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      split(bundle).some((ca) => certificate.checkIssued(new X509Certificate(ca)))
    );
  } catch {
    // Not a certificate, or not a key: whatever wrote it, it can't be served.
    return false;
  }
}

function split(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}
