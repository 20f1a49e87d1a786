import { describe, expect, test } from '@jest/globals';
import type { BatchTrigger } from '../riskmodel/zz_generated.riskmodel.ts';
import { matchesTrigger, readNotification } from './triggers.ts';

const attributes = {
  eventType: 'OBJECT_FINALIZE',
  payloadFormat: 'NONE',
  bucketId: 'incoming',
  objectId: 'day=2026-11-23/applicants.parquet',
  objectGeneration: '1763856000000000',
};

describe('a notification', () => {
  test('tells the object and its version', () => {
    expect(readNotification(attributes)).toEqual({
      bucket: 'incoming',
      path: 'day=2026-11-23/applicants.parquet',
      generation: '1763856000000000',
    });
  });

  test.each(['OBJECT_DELETE', 'OBJECT_ARCHIVE', 'OBJECT_METADATA_UPDATE'])('of %s starts nothing', (eventType) => {
    expect(readNotification({ ...attributes, eventType })).toBeUndefined();
  });

  test.each<[string, Record<string, string>]>([
    ['eventType', {}],
    ['bucketId', { ...attributes, bucketId: '' }],
    ['objectId', { ...attributes, objectId: '' }],
    ['objectGeneration', { ...attributes, objectGeneration: 'latest' }],
  ])('without %s is none', (attribute, malformed) => {
    expect(() => readNotification(malformed)).toThrow(
      expect.objectContaining({
        code: 'InvalidNotification',
        retry: 'never',
        message: expect.stringContaining(`its attribute ${attribute} is missing or malformed`),
      }),
    );
  });
});

describe('a trigger', () => {
  const object = { bucket: 'incoming', path: 'applicants/march.parquet', generation: '1' };

  test.each<[BatchTrigger, boolean]>([
    [{ bucket: 'incoming' }, true],
    [{ bucket: 'other' }, false],
    [{ prefix: 'applicants/' }, true],
    [{ prefix: 'pplicants/' }, false],
    [{ suffix: '.parquet' }, true],
    [{ suffix: '.csv' }, false],
    [{ bucket: 'incoming', prefix: 'applicants/', suffix: '.parquet' }, true],
    [{ bucket: 'incoming', prefix: 'applicants/', suffix: '.csv' }, false],
    [{ bucket: 'incoming', prefix: 'others/', suffix: '.parquet' }, false],
  ])('%j: %p', (trigger, expected) => {
    expect(matchesTrigger(trigger, object)).toBe(expected);
  });

  test('takes no placeholder of a folder for a file', () => {
    expect(matchesTrigger({ bucket: 'incoming' }, { ...object, path: 'applicants/' })).toBe(false);
  });
});
