import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type GenerateKeyPairResult,
  type JWK,
  type JWTPayload,
} from 'jose';
import type { OidcSettings } from '../auth/settings.ts';

export const testIssuer = 'https://issuer.example';
export const testAudience = 'https://risk.example';
export const allowedEmail = 'scoring@project.iam.example';

/** Making an RSA key takes a while, so issuers begin with the same. */
let firstPair: Promise<GenerateKeyPairResult> | undefined;

/** An issuer of tokens, with keys of its own at an HTTP server of its own. */
export class TokenIssuer {
  readonly #server: Server;
  #privateKeys = new Map<string, CryptoKey>();
  #published: JWK[] = [];
  /** How often the keys were asked for. */
  fetches = 0;
  /** What is answered in place of the keys. */
  failure: { status: number; body: string } | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<TokenIssuer> {
    const issuer = new TokenIssuer(
      createServer((_request, response) => {
        issuer.fetches++;
        response.writeHead(issuer.failure?.status ?? 200, { 'content-type': 'application/json', connection: 'close' });
        response.end(issuer.failure?.body ?? JSON.stringify({ keys: issuer.#published }));
      }),
    );
    await new Promise<void>((resolve) => {
      issuer.#server.listen(0, '127.0.0.1', resolve);
    });
    firstPair ??= generateKeyPair('RS256', { extractable: false });
    await issuer.#add('first', 'RS256', await firstPair);
    return issuer;
  }

  get jwksUri(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/certs`);
  }

  get settings(): OidcSettings {
    return {
      issuer: testIssuer,
      jwksUri: this.jwksUri,
      audiences: [testAudience],
      allowedEmails: new Map([[allowedEmail, new Set(['online', 'batch'] as const)]]),
    };
  }

  /** Makes a key pair and publishes its public key. */
  async addKey(kid: string, alg: 'RS256' | 'ES256' = 'RS256'): Promise<JWK> {
    return this.#add(kid, alg, await generateKeyPair(alg));
  }

  async #add(kid: string, alg: string, { publicKey, privateKey }: GenerateKeyPairResult): Promise<JWK> {
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
    this.#privateKeys.set(kid, privateKey);
    this.#published.push(jwk);
    return jwk;
  }

  publishedKey(kid: string): JWK {
    return this.#published.find((key) => key.kid === kid) as JWK;
  }

  withdrawKey(kid: string): void {
    this.#published = this.#published.filter((key) => key.kid !== kid);
  }

  /** A token that is good for an hour from now, but for what is said otherwise; a claim of undefined is left out. */
  sign(claims: JWTPayload = {}, { kid = 'first', alg = 'RS256' } = {}): Promise<string> {
    return new SignJWT(goodClaims(claims))
      .setProtectedHeader({ alg, kid, typ: 'JWT' })
      .sign(this.#privateKeys.get(kid) as CryptoKey);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

/** The claims of a Google ID token of a service account. */
export function goodClaims(claims: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  return {
    iss: testIssuer,
    aud: testAudience,
    sub: '1234567890',
    iat: now,
    exp: now + 3_600,
    email: allowedEmail,
    email_verified: true,
    ...claims,
  };
}
