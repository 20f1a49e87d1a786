import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { collect } from '../testing/collect.ts';
import { configMap } from '../testing/objects.ts';
import { watchEvents, type WatchEvent } from './watch-stream.ts';

async function* chunks(...parts: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

async function read(body: AsyncIterable<Buffer>): Promise<WatchEvent[]> {
  return collect(watchEvents(body, 'watch configmaps'));
}

const added = (name: string): WatchEvent => ({ type: 'ADDED', object: configMap(name) });
const line = (event: unknown): string => `${JSON.stringify(event)}\n`;

describe('the events of a watch', () => {
  test('are the same wherever the network cuts them', async () => {
    const events = [added('a'), added('größe-€-😀'), added('c')];
    const body = Buffer.from(events.map(line).join(''));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(body.length), { maxLength: 12 }), async (cuts) => {
        const edges = [0, ...cuts.toSorted((a, b) => a - b), body.length];
        const parts = edges.slice(1).map((end, index) => body.subarray(edges[index], end));
        expect(await read(chunks(...parts))).toEqual(events);
      }),
    );
  });

  test('do not include one that was broken off', async () => {
    expect(await read(chunks(line(added('a')), line(added('b')).slice(0, -10)))).toEqual([added('a')]);
  });

  test('may have empty lines between them', async () => {
    expect(await read(chunks('\n', line(added('a')), '\r\n'))).toEqual([added('a')]);
  });

  test('end with the error that the server tells', async () => {
    const error = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } };
    const events = watchEvents(chunks(line(added('a')), line(error), line(added('b'))), 'watch configmaps');
    expect((await events.next()).value).toEqual(added('a'));
    await expect(events.next()).rejects.toMatchObject({ status: 410, message: 'watch configmaps: too old' });
  });
});
