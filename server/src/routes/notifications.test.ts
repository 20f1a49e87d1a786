import { RiskModelError } from '@riskmodel/core/errors.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeBatch, makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';

const attributes = {
  eventType: 'OBJECT_FINALIZE',
  bucketId: 'applicants',
  objectId: 'march.csv',
  objectGeneration: '7',
};

/** What a push subscription sends. */
function envelope(message: unknown): object {
  return { message, subscription: 'projects/bank/subscriptions/applicants' };
}

describe('POST /notifications', () => {
  let app: TestApp;
  beforeEach(async () => {
    app = await startTestApp({ models: [makeModel('credit', new StubSession(4))] });
    app.batches.triggered.set('gs://applicants/march.csv', [makeBatch('batch-1')]);
  });
  afterEach(() => app.close());

  test.each([
    ['that starts a batch', attributes],
    ['that is for nobody here', { ...attributes, objectId: 'april.csv' }],
    ['of a deletion', { ...attributes, eventType: 'OBJECT_DELETE' }],
  ])('a notification %s is done with', async (_, given) => {
    const response = await app.post('/notifications', envelope({ attributes: given, messageId: '1', data: '' }));
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
  });

  test.each([
    [{}, ['body', 'message'], 'missing'],
    [envelope('text'), ['body', 'message'], 'missing'],
    [envelope({ attributes: ['a'] }), ['body', 'message', 'attributes'], 'dict_type'],
    [envelope({ attributes: { eventType: 1 } }), ['body', 'message', 'attributes'], 'dict_type'],
  ])('%j is 422, for its dead-letter topic', async (body, loc, type) => {
    const response = await app.post('/notifications', body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ detail: [{ loc, type }] });
  });

  test('a message that is no notification is 422 and says so', async () => {
    const response = await app.post('/notifications', envelope({ attributes: { hello: 'world' } }));
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({
      detail: expect.stringContaining('no notification of Cloud Storage: its attribute eventType is missing'),
    });
  });

  test('while Redis is away it comes again', async () => {
    app.batches.startTriggered = () =>
      Promise.reject(new RiskModelError('BatchServiceUnavailable', 'Redis does not answer', { retry: 'later' }));
    const response = await app.post('/notifications', envelope({ attributes }));
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
  });
});
