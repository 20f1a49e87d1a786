import { expect, test } from '@jest/globals';
import { readSettings } from '../settings.ts';

const others = {
  POD_NAME: 'operator-1',
  POD_NAMESPACE: 'risk-system',
  REDIS_URL: 'redis://redis:6379',
  RISKMODEL_IMAGE: 'riskmodel:1',
  RISKMODEL_STORAGE_CLAIM: 'data',
};
const webhook = {
  RISKMODEL_WEBHOOK_PORT: '9443',
  RISKMODEL_WEBHOOK_SERVICE: 'rm-webhook',
  RISKMODEL_WEBHOOK_SECRET: 'rm-webhook-certificate',
  RISKMODEL_WEBHOOK_CONFIGURATION: 'rm-webhook',
};

const admissionOf = (env: NodeJS.ProcessEnv): unknown => readSettings({ ...others, ...env }).admission;

test('there is no webhook without a port', () => {
  expect(admissionOf({})).toBeUndefined();
  expect(admissionOf({ ...webhook, RISKMODEL_WEBHOOK_PORT: '' })).toBeUndefined();
});

test('a certificate of the operator’s own is for the Service, and kept beside the operator', () => {
  expect(admissionOf(webhook)).toEqual({
    port: 9443,
    certificate: {
      host: 'rm-webhook.risk-system.svc',
      secret: { namespace: 'risk-system', name: 'rm-webhook-certificate' },
      configuration: 'rm-webhook',
    },
  });
});

test('a folder takes its place', () => {
  expect(admissionOf({ RISKMODEL_WEBHOOK_PORT: '9443', RISKMODEL_WEBHOOK_CERTIFICATE_FOLDER: '/etc/tls' })).toEqual({
    port: 9443,
    certificate: { folder: '/etc/tls' },
  });
});

test.each(['SERVICE', 'SECRET', 'CONFIGURATION'])('without RISKMODEL_WEBHOOK_%s it is told what is missing', (name) => {
  const variable = `RISKMODEL_WEBHOOK_${name}`;
  expect(() => admissionOf({ ...webhook, [variable]: undefined })).toThrow(`${variable} is not set`);
});
