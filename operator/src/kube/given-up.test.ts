import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startFaultServer, type FaultServer } from '../testing/fault-server.ts';
import { configMapType } from '../testing/objects.ts';
import type { KubeClient } from './client.ts';
import { givingUp } from './given-up.ts';

const ref = { namespace: 'default', name: 'a' };
const givenUp = { status: 0, code: 'Aborted' };

let server: FaultServer;
let client: KubeClient;
let asked: PromiseWithResolvers<void>;
beforeEach(async () => {
  asked = Promise.withResolvers<void>();
  server = await startFaultServer(() => asked.resolve());
  client = server.client({ timeoutMs: 3_600_000 });
});
afterEach(() => server.close());

async function getLater(): Promise<unknown> {
  await Promise.resolve();
  return client.get(configMapType, ref);
}

test('every request of the work is given up with it, at any depth', async () => {
  const controller = new AbortController();
  const working = givingUp(controller.signal, async () => Promise.all([getLater(), client.list(configMapType)]));
  const failed = expect(working).rejects.toMatchObject(givenUp);
  await asked.promise;
  controller.abort();
  await failed;
});

test('a request with a signal of its own has that one', async () => {
  const [outer, own] = [new AbortController(), new AbortController()];
  const getting = givingUp(outer.signal, () => client.get(configMapType, ref, own.signal));
  const failed = expect(getting).rejects.toMatchObject(givenUp);
  await asked.promise;
  outer.abort();
  own.abort();
  await failed;
});

test('a look at what is served, which all share, outlasts the work that asked for it', async () => {
  const controller = new AbortController();
  const discovering = givingUp(controller.signal, () => client.discover());
  let hasEnded = false;
  discovering.catch(() => {}).finally(() => (hasEnded = true));
  await asked.promise;
  controller.abort();
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasEnded).toBe(false);
});
