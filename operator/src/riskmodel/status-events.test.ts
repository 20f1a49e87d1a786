import { expect, test } from '@jest/globals';
import type { Condition } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { eventsOf } from './status-events.ts';

function condition(type: string, status: 'True' | 'False', reason: string): Condition {
  return { type, status, reason, message: `${reason}!`, lastTransitionTime: '2026-01-01T00:00:00Z' };
}

test.each<[name: string, before: Condition[], after: Condition[], want: string[]]>([
  ['nothing changed', [condition('Ready', 'True', 'Serving')], [condition('Ready', 'True', 'Serving')], []],
  ['a first condition', [], [condition('Ready', 'False', 'Deploying')], ['Normal Deploying']],
  [
    'another reason',
    [condition('Progressing', 'True', 'RollingOut')],
    [condition('Progressing', 'False', 'ContainerFailed')],
    ['Warning ContainerFailed'],
  ],
  [
    'what Progressing says of the same turn',
    [condition('Ready', 'False', 'Deploying'), condition('Progressing', 'True', 'RollingOut')],
    [condition('Ready', 'True', 'Serving'), condition('Progressing', 'False', 'UpToDate')],
    ['Normal Serving'],
  ],
  [
    'a warning of the same turn',
    [condition('Ready', 'True', 'Serving'), condition('Progressing', 'True', 'RollingOut')],
    [condition('Ready', 'False', 'NoReadyPods'), condition('Progressing', 'False', 'ContainerFailed')],
    ['Warning NoReadyPods', 'Warning ContainerFailed'],
  ],
  ['what Degraded repeats', [], [condition('Degraded', 'True', 'ContainerFailed')], []],
])('%s', (_, before, after, want) => {
  expect(eventsOf(before, after).map(({ type, reason }) => `${type} ${reason}`)).toEqual(want);
});
