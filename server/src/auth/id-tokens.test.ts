import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { base64url, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import { allowedEmail, goodClaims, testAudience, testIssuer, TokenIssuer } from '../testing/token-issuer.ts';
import { until } from '../testing/until.ts';
import { IdTokens } from './id-tokens.ts';
import { SigningKeysUnavailable } from './signing-keys.ts';

const start = Date.parse('2026-01-01T12:00:00Z');
const minute = 60_000;

let issuer: TokenIssuer;
let tokens: IdTokens;

beforeEach(async () => {
  // Time stands still unless a test moves it; only the clock is false, everything else goes on.
  jest.useFakeTimers({
    now: start,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
  issuer = await TokenIssuer.start();
  tokens = new IdTokens(issuer.settings);
});
afterEach(async () => {
  await issuer.stop();
  jest.useRealTimers();
});

function pass(milliseconds: number): void {
  jest.setSystemTime(Date.now() + milliseconds);
}

const seconds = (offset: number): number => start / 1_000 + offset;

test('a good token tells who calls, whatever the case of the address', async () => {
  for (const email of [allowedEmail, allowedEmail.toUpperCase()]) {
    expect(await tokens.authenticate(await issuer.sign({ email }))).toEqual({
      name: allowedEmail,
      method: 'oidc',
      roles: new Set(['online', 'batch']),
    });
  }
});

test('one audience of several is enough, and so is one signed with an elliptic curve', async () => {
  await issuer.addKey('curve', 'ES256');
  const token = await issuer.sign({ aud: ['https://other.example', testAudience] }, { kid: 'curve', alg: 'ES256' });
  expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
});

test('an address that is not allowed is known and may do nothing', async () => {
  expect(await tokens.authenticate(await issuer.sign({ email: 'else@project.iam.example' }))).toEqual({
    name: 'else@project.iam.example',
    method: 'oidc',
    roles: new Set(),
  });
});

describe('a token is refused that', () => {
  test.each([
    ['has expired', { exp: seconds(-31) }, 'token: ERR_JWT_EXPIRED'],
    ['is not valid yet', { nbf: seconds(31) }, 'token: claim nbf'],
    ['never expires', { exp: undefined }, 'token: claim exp'],
    ['does not say when it was issued', { iat: undefined }, 'token: claim iat'],
    ['speaks of nobody', { sub: undefined }, 'token: claim sub'],
    ['is for somebody else', { aud: 'https://other.example' }, 'token: claim aud'],
    ['is for nobody', { aud: undefined }, 'token: claim aud'],
    ['is for an audience that ours is only a part of', { aud: `${testAudience}.evil.example` }, 'token: claim aud'],
    ['is of another issuer', { iss: 'https://other.example' }, 'token: claim iss'],
    ['is of an issuer that ours is only a part of', { iss: `${testIssuer}.evil.example` }, 'token: claim iss'],
    ['has no email', { email: undefined }, 'token: no email'],
    ['has an email that is no text', { email: [allowedEmail] }, 'token: no email'],
    ['has an email that is not verified', { email_verified: false }, 'token: email not verified'],
    ['does not say whether its email is verified', { email_verified: undefined }, 'token: email not verified'],
    ['says so in other words', { email_verified: 'true' }, 'token: email not verified'],
  ])('%s', async (_why, claims, refused) => {
    expect(await tokens.authenticate(await issuer.sign(claims))).toEqual({ refused });
  });

  test('is not signed (alg none)', async () => {
    const token = new UnsecuredJWT(goodClaims()).encode();
    expect(await tokens.authenticate(token)).toEqual({ refused: 'token: ERR_JOSE_ALG_NOT_ALLOWED' });
    const header = base64url.encode(JSON.stringify({ alg: 'none', kid: 'first' }));
    const [, payload] = (await issuer.sign()).split('.');
    expect(await tokens.authenticate(`${header}.${payload}.`)).toEqual({ refused: 'token: ERR_JOSE_ALG_NOT_ALLOWED' });
    expect(issuer.fetches).toBe(0);
  });

  test('has lost its signature', async () => {
    const [header, payload] = (await issuer.sign()).split('.');
    expect(await tokens.authenticate(`${header}.${payload}.`)).toHaveProperty('refused');
  });

  test.each(['pem', 'jwk', 'der'])('is signed with the public key as if it were a shared secret (%s)', async (form) => {
    const jwk = issuer.publishedKey('first');
    const secret = {
      pem: () => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string,
      jwk: () => JSON.stringify(jwk),
      der: () => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' }),
    }[form as 'pem' | 'jwk' | 'der']();
    const token = await new SignJWT(goodClaims())
      .setProtectedHeader({ alg: 'HS256', kid: 'first' })
      .sign(Uint8Array.from(Buffer.from(secret)));
    expect(await tokens.authenticate(token)).toEqual({ refused: 'token: ERR_JOSE_ALG_NOT_ALLOWED' });
  });

  test('is signed with a key that only calls itself the issuer’s', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const own = await importJWK({ ...privateKey.export({ format: 'jwk' }), alg: 'RS256' });
    const sign = (header: Record<string, unknown>) =>
      new SignJWT(goodClaims()).setProtectedHeader({ alg: 'RS256', kid: 'first', ...header }).sign(own);
    expect(await tokens.authenticate(await sign({}))).toEqual({
      refused: 'token: ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    });
    // A key that the token brings along, or says where to fetch, is nobody's.
    const { kty, n, e } = privateKey.export({ format: 'jwk' });
    for (const header of [{ jwk: { kty, n, e } }, { jku: `${issuer.jwksUri.href}?mine` }]) {
      expect(await tokens.authenticate(await sign(header))).toHaveProperty('refused');
    }
    expect(issuer.fetches).toBe(1);
  });

  test('was changed after it was signed', async () => {
    const [header, , signature] = (await issuer.sign()).split('.');
    const payload = base64url.encode(JSON.stringify(goodClaims({ email: 'else@project.iam.example' })));
    expect(await tokens.authenticate(`${header}.${payload}.${signature}`)).toEqual({
      refused: 'token: ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    });
  });

  test.each(['..', 'a.b.c', 'eyJhbGciOiJSUzI1NiJ9..', `${'x'.repeat(8_000)}.y.z`, 'é.é.é'])(
    'is none: %.20s',
    async (token) => {
      expect(await tokens.authenticate(token)).toHaveProperty('refused');
    },
  );
});

describe('clocks', () => {
  test.each([
    ['expired 29 s ago', { exp: seconds(-29) }],
    ['begins in 29 s', { nbf: seconds(29) }],
  ])('that differ a little do no harm: %s', async (_why, claims) => {
    expect(await tokens.authenticate(await issuer.sign(claims))).toMatchObject({ name: allowedEmail });
  });

  test('a token that was good is not good for ever', async () => {
    const token = await issuer.sign({ exp: seconds(120) });
    expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
    pass(149_000);
    expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
    pass(2_000);
    expect(await tokens.authenticate(token)).toEqual({ refused: 'token: ERR_JWT_EXPIRED' });
  });
});

describe('signing keys', () => {
  test('are fetched once for many tokens at once', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => issuer.sign({ sub: String(i) })));
    for (const caller of await Promise.all(many.map((token) => tokens.authenticate(token)))) {
      expect(caller).toMatchObject({ name: allowedEmail });
    }
    expect(issuer.fetches).toBe(1);
  });

  test('that are new are found when a token names one', async () => {
    await tokens.authenticate(await issuer.sign());
    await issuer.addKey('second');
    pass(31_000);
    const token = await issuer.sign({}, { kid: 'second' });
    expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
    expect(issuer.fetches).toBe(2);
  });

  test('that nobody knows are asked for once, and then not for a while', async () => {
    await tokens.authenticate(await issuer.sign());
    await issuer.addKey('unknown');
    issuer.withdrawKey('unknown');
    pass(31_000);
    for (let i = 0; i < 10; i++) {
      const token = await issuer.sign({ sub: String(i) }, { kid: 'unknown' });
      expect(await tokens.authenticate(token)).toEqual({ refused: 'token: ERR_JWKS_NO_MATCHING_KEY' });
    }
    expect(issuer.fetches).toBe(2);
    pass(31_000);
    await tokens.authenticate(await issuer.sign({}, { kid: 'unknown' }));
    expect(issuer.fetches).toBe(3);
  });

  test('that were withdrawn count no more, also for a token that was good', async () => {
    const token = await issuer.sign();
    await issuer.addKey('second');
    expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
    issuer.withdrawKey('first');
    pass(11 * minute);
    // This one notices that the keys are old, and does not wait for the new ones.
    expect(await tokens.authenticate(await issuer.sign({}, { kid: 'second' }))).toMatchObject({ name: allowedEmail });
    let sub = 0;
    await until(async () => 'refused' in (await tokens.authenticate(await issuer.sign({ sub: String(sub++) }))));
    expect(await tokens.authenticate(token)).toEqual({ refused: 'token: ERR_JWKS_NO_MATCHING_KEY' });
  });

  test('go on when the issuer is away', async () => {
    await tokens.authenticate(await issuer.sign());
    await issuer.stop();
    for (let hour = 1; hour <= 23; hour++) {
      pass(60 * minute);
      expect(await tokens.authenticate(await issuer.sign())).toMatchObject({ name: allowedEmail });
    }
    // A day is too long: who knows which keys are good by now.
    pass(61 * minute);
    await expect(tokens.authenticate(await issuer.sign())).rejects.toThrow(SigningKeysUnavailable);
    issuer = await TokenIssuer.start();
  });

  test.each([
    ['answers with an error', { status: 500, body: '{}' }],
    ['answers with a redirection', { status: 302, body: '' }],
    ['answers with something else', { status: 200, body: '<html>' }],
    ['answers with JSON of another kind', { status: 200, body: '{"keys": 1}' }],
  ])(
    'that can’t be had, because the issuer %s, are no verdict; it is left alone a while, and tried again',
    async (_why, failure) => {
      issuer.failure = failure;
      const token = await issuer.sign();
      for (let i = 0; i < 5; i++) await expect(tokens.authenticate(token)).rejects.toThrow(SigningKeysUnavailable);
      expect(issuer.fetches).toBe(1);
      issuer.failure = undefined;
      pass(5_001);
      expect(await tokens.authenticate(token)).toMatchObject({ name: allowedEmail });
    },
  );
});
