import { expect, test } from '@jest/globals';
import { readAuthSettings } from './settings.ts';

const oidc = {
  RISKMODEL_AUTH: 'oidc',
  RISKMODEL_OIDC_AUDIENCE: 'https://risk.example',
  RISKMODEL_OIDC_ALLOWED_EMAILS: 'a@b.example',
};

test.each([[undefined], [''], ['none'], [' none ']])('RISKMODEL_AUTH %j asks nobody', (value) => {
  expect(readAuthSettings({ RISKMODEL_AUTH: value })).toEqual({ methods: [], limits: {} });
});

test('API keys and tokens may be asked for together', () => {
  const { methods, apiKeysFile } = readAuthSettings({
    ...oidc,
    RISKMODEL_AUTH: 'oidc, api-key',
    RISKMODEL_API_KEYS_FILE: '/etc/keys',
  });
  expect({ methods, apiKeysFile }).toEqual({ methods: ['api-key', 'oidc'], apiKeysFile: '/etc/keys' });
});

test('tokens are Google’s unless another issuer is named', () => {
  expect(readAuthSettings(oidc).oidc).toEqual({
    issuer: 'https://accounts.google.com',
    jwksUri: new URL('https://www.googleapis.com/oauth2/v3/certs'),
    audiences: ['https://risk.example'],
    allowedEmails: new Map([['a@b.example', new Set(['online', 'batch'])]]),
  });
});

test('addresses may do everything, or what is said with them', () => {
  const emails = 'A@b.example, c@d.example=online ,e@f.example=batch, g@h.example=online, g@h.example=batch';
  expect(readAuthSettings({ ...oidc, RISKMODEL_OIDC_ALLOWED_EMAILS: emails }).oidc?.allowedEmails).toEqual(
    new Map([
      ['a@b.example', new Set(['online', 'batch'])],
      ['c@d.example', new Set(['online'])],
      ['e@f.example', new Set(['batch'])],
      ['g@h.example', new Set(['online', 'batch'])],
    ]),
  );
});

test.each([
  ['100/s', { requests: 100, seconds: 1 }],
  ['60/min', { requests: 60, seconds: 60 }],
  ['1/h', { requests: 1, seconds: 3_600 }],
])('a limit of %s', (text, rate) => {
  const { limits } = readAuthSettings({ RISKMODEL_RATE_LIMIT_ONLINE: text, RISKMODEL_RATE_LIMIT_BATCH: ` ${text} ` });
  expect(limits).toEqual({ online: rate, batch: rate });
});

test.each([
  ['a word that is no method', { RISKMODEL_AUTH: 'basic' }, /^RISKMODEL_AUTH: must be none, or api-key, oidc/],
  ['none beside a method', { ...oidc, RISKMODEL_AUTH: 'none,oidc' }, /^RISKMODEL_AUTH: must be none/],
  ['API keys without a file', { RISKMODEL_AUTH: 'api-key' }, /^RISKMODEL_API_KEYS_FILE: must be set/],
  ['a file without the method', { RISKMODEL_API_KEYS_FILE: '/etc/keys' }, /RISKMODEL_AUTH does not name api-key$/],
  ['an audience without the method', { ...oidc, RISKMODEL_AUTH: 'none' }, /RISKMODEL_AUTH does not name oidc$/],
  ['tokens without audience', { ...oidc, RISKMODEL_OIDC_AUDIENCE: '' }, /^RISKMODEL_OIDC_AUDIENCE: must be set/],
  [
    'tokens without addresses',
    { ...oidc, RISKMODEL_OIDC_ALLOWED_EMAILS: ' , ' },
    /^RISKMODEL_OIDC_ALLOWED_EMAILS: must/,
  ],
  [
    'an address that is none',
    { ...oidc, RISKMODEL_OIDC_ALLOWED_EMAILS: '*' },
    /^RISKMODEL_OIDC_ALLOWED_EMAILS: .*"\*"$/,
  ],
  ['a role that is none', { ...oidc, RISKMODEL_OIDC_ALLOWED_EMAILS: 'a@b.example=admin' }, /not "a@b\.example=admin"$/],
  [
    'an issuer without keys',
    { ...oidc, RISKMODEL_OIDC_ISSUER: 'https://i.example' },
    /^RISKMODEL_OIDC_JWKS_URI: must be set/,
  ],
  [
    'keys without TLS',
    { ...oidc, RISKMODEL_OIDC_JWKS_URI: 'http://i.example/certs' },
    /^RISKMODEL_OIDC_JWKS_URI: .*https:/,
  ],
  ['keys nowhere', { ...oidc, RISKMODEL_OIDC_JWKS_URI: 'certs' }, /^RISKMODEL_OIDC_JWKS_URI: .*https:/],
  ['no requests', { RISKMODEL_RATE_LIMIT_ONLINE: '0/s' }, /^RISKMODEL_RATE_LIMIT_ONLINE: must be 1 to/],
  ['another unit', { RISKMODEL_RATE_LIMIT_BATCH: '5/day' }, /^RISKMODEL_RATE_LIMIT_BATCH: must be 1 to/],
  ['too many', { RISKMODEL_RATE_LIMIT_BATCH: '1000001/s' }, /^RISKMODEL_RATE_LIMIT_BATCH: must be 1 to/],
])('%s is refused', (_why, env, message) => {
  expect(() => readAuthSettings(env)).toThrow(
    expect.objectContaining({ code: 'InvalidConfig', message: expect.stringMatching(message) }),
  );
});
