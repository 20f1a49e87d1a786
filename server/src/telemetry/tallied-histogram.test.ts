import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { TalliedHistogram } from './tallied-histogram.ts';

const bucketed = fc.record({
  buckets: fc.uniqueArray(fc.double({ min: -1_000, max: 1_000, noNaN: true }), { minLength: 1, maxLength: 8 }),
  observations: fc.array(
    fc.record({
      route: fc.constantFrom('/a', '/b "quoted"', ''),
      value: fc.oneof(fc.double({ min: -2_000, max: 2_000, noNaN: true }), fc.nat({ max: 9 })),
    }),
  ),
});

test('prints what prom-client prints of the same observations', async () => {
  await fc.assert(
    fc.asyncProperty(bucketed, async ({ buckets, observations }) => {
      const sorted = buckets.toSorted((a, b) => a - b);
      // Also a value that is a bound.
      const seen = [...observations, { route: '/a', value: sorted[0] as number }];
      const what = { name: 'seconds', help: 'Seconds of a request.', buckets: sorted };
      const [theirs, ours] = [new Registry(), new Registry()];
      const histogram = new Histogram({ ...what, labelNames: ['route'], registers: [theirs] });
      const tallied = new TalliedHistogram<'route'>({ ...what, registry: ours });
      for (const { route, value } of seen) {
        histogram.labels({ route }).observe(value);
        tallied.labels({ route }).observe(value);
      }
      expect(await ours.metrics()).toBe(await theirs.metrics());
    }),
  );
});

test('a series is there from its first mention', async () => {
  const registry = new Registry();
  const histogram = new TalliedHistogram<'model'>({ name: 'rows', help: 'Rows.', buckets: [1], registry });
  histogram.labels({ model: 'm' });
  expect(await registry.metrics()).toBe(
    '# HELP rows Rows.\n# TYPE rows histogram\nrows_bucket{le="1",model="m"} 0\nrows_bucket{le="+Inf",model="m"} 0\nrows_sum{model="m"} 0\nrows_count{model="m"} 0\n',
  );
});
