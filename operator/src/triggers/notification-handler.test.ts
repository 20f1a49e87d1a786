import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Batch } from '@riskmodel/core/batches/batch.ts';
import { uriOf } from '@riskmodel/core/batches/triggers.ts';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { BatchTrigger, RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { makeModel } from '../riskmodel/testing/make-model.ts';
import { quietLogger } from '../testing/quiet-logger.ts';
import { NotificationHandler } from './notification-handler.ts';

const attributes = {
  eventType: 'OBJECT_FINALIZE',
  bucketId: 'applicants',
  objectId: 'in/march.csv',
  objectGeneration: '7',
};

function triggered(name: string, triggers: BatchTrigger[], metadata: object = {}): RiskModel {
  const model = makeModel({}, { name, ...metadata });
  return { ...model, spec: { ...model.spec, batch: { ...model.spec.batch, triggers } } };
}

describe('a notification', () => {
  let started: string[];
  let models: RiskModel[];
  let failure: Error | undefined;
  let handler: NotificationHandler;

  beforeEach(() => {
    started = [];
    failure = undefined;
    models = [
      triggered('credit', [{ prefix: 'in/' }]),
      triggered('cards', [{ bucket: 'others' }, { suffix: '.csv' }]),
      triggered('fraud', [{ bucket: 'others' }]),
      triggered('old', [{ prefix: 'in/' }], { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    ];
    handler = new NotificationHandler({
      models: () => models,
      start: async ({ metadata }, object) => {
        if (failure) throw failure;
        started.push(`${metadata.name} ${uriOf(object)}#${object.generation}`);
        return { id: 'batch' } as Batch;
      },
      stagingUri: 'gs://staging/risk',
      logger: quietLogger().logger,
    });
  });

  test('starts a batch of each model that it is for', async () => {
    expect(await handler.handle(attributes)).toEqual({ outcome: 'done' });
    expect(started).toEqual(['credit gs://applicants/in/march.csv#7', 'cards gs://applicants/in/march.csv#7']);
  });

  test('of what batches write starts none', async () => {
    const [credit] = models as [RiskModel];
    models = [{ ...credit, spec: { ...credit.spec, batch: { ...credit.spec.batch } } }];
    const { output } = (models[0] as RiskModel).spec.batch;
    (models[0] as RiskModel).spec.batch.output = { ...output, uri: 'gs://applicants/in/results' };
    const staged = { ...attributes, bucketId: 'staging', objectId: 'risk/in/1.parquet' };
    expect(await handler.handle(staged)).toEqual({ outcome: 'done' });
    const result = { ...attributes, objectId: 'in/results/credit/1/results-0.parquet' };
    expect(await handler.handle(result)).toEqual({ outcome: 'done' });
    expect(started).toEqual([]);
  });

  test('of another event is done with', async () => {
    expect(await handler.handle({ ...attributes, eventType: 'OBJECT_DELETE' })).toEqual({ outcome: 'done' });
    expect(started).toEqual([]);
  });

  test('comes again while Redis is away', async () => {
    failure = new RiskModelError('RedisUnavailable', 'Redis does not answer', { retry: 'later' });
    expect(await handler.handle(attributes)).toEqual({ outcome: 'later' });
  });

  test('that is none, or can not be followed, is of no use, and the reason is told', async () => {
    expect(await handler.handle({})).toEqual({
      outcome: 'poison',
      reason: expect.stringContaining('its attribute eventType is missing'),
    });
    failure = new RiskModelError('InvalidUri', 'not an object');
    expect(await handler.handle(attributes)).toEqual({ outcome: 'poison', reason: 'not an object' });
  });
});
