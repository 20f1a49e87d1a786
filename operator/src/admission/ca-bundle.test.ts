import { expect, test } from '@jest/globals';
import { applyCaBundle } from './ca-bundle.ts';
import { WebhookApi } from './testing/webhook-api.ts';

test('every webhook is told whom to trust, and nothing is written while they know', async () => {
  const api = new WebhookApi();
  expect(await applyCaBundle(api, 'webhook', 'one')).toBe(true);
  expect(await applyCaBundle(api, 'webhook', 'one')).toBe(false);
  expect(api.bundles).toEqual(['one', 'one']);
  expect(await applyCaBundle(api, 'webhook', 'two')).toBe(true);
  expect(api.bundles).toEqual(['two', 'two']);
});

test('what somebody else wrote there is put right', async () => {
  const api = new WebhookApi();
  await applyCaBundle(api, 'webhook', 'one');
  api.dropBundle();
  expect(await applyCaBundle(api, 'webhook', 'one')).toBe(true);
  expect(api.bundles).toEqual(['one', 'one']);
});

test('a configuration that is not there is told of, not made', async () => {
  const api = new WebhookApi();
  api.configuration = undefined;
  await expect(applyCaBundle(api, 'webhook', 'one')).rejects.toThrow(
    'there is no ValidatingWebhookConfiguration webhook: the chart makes it',
  );
  expect(api.writes).toEqual([]);
});
