import { expect, test } from '@jest/globals';
import { InFlight } from './in-flight.ts';

test('no more writes begin than may be under way', async () => {
  let underWay = 0;
  let most = 0;
  const write = async (): Promise<void> => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay--;
  };
  const writes = new InFlight(3);
  for (let i = 0; i < 20; i++) await writes.add(write());
  await writes.end();
  expect([most, underWay]).toEqual([3, 0]);
});

test('a write that fails is told, and stops those after it', async () => {
  const writes = new InFlight(2);
  await writes.add(Promise.reject(new Error('OOM')));
  await expect(writes.add(Promise.resolve())).rejects.toThrow('OOM');
});

test('the end waits for the last writes, and tells of their failure', async () => {
  const writes = new InFlight(4);
  await writes.add(Promise.reject(new Error('OOM')));
  await expect(writes.end()).rejects.toThrow('OOM');
});
