import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import {
  bitString,
  boolean,
  contextTag,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

/** A serving certificate with its key, and the authority that vouches for it; all PEM. */
export interface IssuedCertificate {
  cert: string;
  key: string;
  ca: string;
}

export interface IssueOptions {
  /** DNS names of the server. */
  hosts: readonly [string, ...string[]];
  notBefore: Date;
  notAfter: Date;
}

const oid = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/**
 * Makes an authority and has it sign one certificate; its key is then forgotten, so whoever gets hold of everything
 * that is stored can serve under these names, and can vouch for no others. Keys are on the curve P-256.
 */
export function issueCertificate({ hosts, notBefore, notAfter }: IssueOptions): IssuedCertificate {
  const authority = makeKeyPair();
  const server = makeKeyPair();
  // A name of its own, so that of several authorities the right one is found by it.
  const authorityName = nameOf(`riskmodel webhook CA ${randomBytes(8).toString('hex')}`);
  const lifetime = sequence(time(notBefore), time(notAfter));
  const signWith = authority.privateKey;
  const ca = makeCertificate({
    issuer: authorityName,
    subject: authorityName,
    lifetime,
    publicKey: authority.spki,
    signWith,
    extensions: [
      extension(oid.basicConstraints, sequence(boolean(true), integer(0)), true),
      // keyCertSign and cRLSign
      extension(oid.keyUsage, bitString(Buffer.from([0b0000_0110]), 1), true),
      extension(oid.subjectKeyIdentifier, octetString(keyIdentifier(authority.spki))),
    ],
  });
  const cert = makeCertificate({
    issuer: authorityName,
    subject: nameOf('riskmodel webhook'),
    lifetime,
    publicKey: server.spki,
    signWith,
    extensions: [
      extension(oid.basicConstraints, sequence(), true),
      // digitalSignature
      extension(oid.keyUsage, bitString(Buffer.from([0b1000_0000]), 7), true),
      extension(oid.extendedKeyUsage, sequence(objectIdentifier(oid.serverAuth))),
      extension(oid.authorityKeyIdentifier, sequence(contextTag(0, keyIdentifier(authority.spki)))),
      extension(oid.subjectAltName, sequence(...hosts.map((host) => contextTag(2, Buffer.from(host, 'ascii'))))),
    ],
  });
  return {
    cert: toPem(cert),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    ca: toPem(ca),
  };
}

interface CertificateParts {
  issuer: Buffer;
  subject: Buffer;
  lifetime: Buffer;
  publicKey: Buffer;
  signWith: KeyObject;
  extensions: Buffer[];
}

/** An X.509 certificate of version 3 (RFC 5280, 4.1), as DER. */
function makeCertificate({ issuer, subject, lifetime, publicKey, signWith, extensions }: CertificateParts): Buffer {
  const algorithm = sequence(objectIdentifier(oid.ecdsaWithSha256));
  const content = sequence(
    contextTag(0, integer(2), true),
    integer(randomBytes(16)),
    algorithm,
    issuer,
    lifetime,
    subject,
    publicKey,
    contextTag(3, sequence(...extensions), true),
  );
  return sequence(content, algorithm, bitString(sign('sha256', content, { key: signWith, dsaEncoding: 'der' })));
}

function makeKeyPair(): { privateKey: KeyObject; spki: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) };
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier(oid.commonName), utf8String(commonName))));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** The first 160 bits of the SHA-256 of the key, as RFC 7093 has it. */
function keyIdentifier(spki: Buffer): Buffer {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
