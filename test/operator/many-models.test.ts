import { setTimeout as sleep } from 'node:timers/promises';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { everyRequest } from '../harness/cluster/audit-log.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { repository } from '../harness/local-system.ts';
import { OperatorFixture } from './operator-fixture.ts';
import { OperatorProgram } from './operator-program.ts';

jest.setTimeout(600_000);

const models = 100;
const operatorUser = 'riskmodel-operator';
let fixture: OperatorFixture;
let operator: OperatorProgram;

beforeAll(async () => {
  fixture = await OperatorFixture.start({ audit: everyRequest });
  const kubeconfig = await fixture.plane.kubeconfigFor({ user: operatorUser, groups: ['system:masters'] });
  operator = await OperatorProgram.start(kubeconfig, 'operator-1', { RISKMODEL_RESYNC_SECONDS: '30' });
  await eventually(async () => expect((await fetch(`${operator.url}/readyz`)).status).toBe(200));
}, 80 * 60_000);

afterAll(async () => {
  await operator?.kill();
  await fixture?.stop();
});

/** What the operator has written so far, but for the lease that its leader renews and the events it tells. */
async function writesOfOperator(): Promise<number> {
  const events = await fixture.plane.auditEvents();
  return events.filter(
    ({ user, verb, objectRef }) =>
      user.username === operatorUser &&
      ['create', 'update', 'patch', 'delete'].includes(verb) &&
      !['leases', 'events'].includes(objectRef?.resource ?? ''),
  ).length;
}

/** How many models have been looked at, by their status. */
async function observedModels(): Promise<number> {
  const { items } = await fixture.plane.api.call<{ items: { status?: { observedGeneration?: number } }[] }>(
    'GET',
    '/apis/riskmodel.io/v1alpha1/riskmodels',
  );
  return items.filter(({ status }) => status?.observedGeneration !== undefined).length;
}

test('many RiskModels applied at once are all reconciled; then nothing is written', async () => {
  const example = parse(await readFile(join(repository, 'examples/credit-default/riskmodel.yaml'), 'utf8')) as object;
  const started = performance.now();
  const path = '/apis/riskmodel.io/v1alpha1/namespaces/risk/riskmodels';
  const queue = Array.from({ length: models }, (_, index) => ({
    ...example,
    metadata: { name: `model-${index}`, namespace: 'risk' },
  }));
  const send = async (): Promise<void> => {
    for (let model = queue.pop(); model !== undefined; model = queue.pop())
      await fixture.plane.api.call('POST', path, model);
  };
  await Promise.all(Array.from({ length: 16 }, send));
  const applied = performance.now();
  await eventually(async () => expect(await observedModels()).toBe(models), 120_000);
  const seconds = (performance.now() - started) / 1000;

  const labels = { controller: 'riskmodel' };
  const histogram = 'controller_runtime_reconcile_time_seconds';
  // What the last reconciles wrote comes back as events, which are looked at too.
  let writes = await writesOfOperator();
  await eventually(async () => {
    const before = writes;
    await sleep(2_000);
    writes = await writesOfOperator();
    expect(writes).toBe(before);
  }, 60_000);
  printFigure(
    `${models} RiskModels: applied in ${((applied - started) / 1000).toFixed(1)} s, all reconciled after ${seconds.toFixed(1)} s, ` +
      `reconcile p50 <= ${await operator.quantile(histogram, labels, 0.5)} s, p99 <= ${await operator.quantile(histogram, labels, 0.99)} s, ` +
      `${(writes / models).toFixed(1)} API writes a model, at most ${Math.round(operator.peakMemory() / 1e6)} MB`,
  );

  const reconciles = await operator.metric('controller_runtime_reconcile_total', labels);
  await sleep(45_000);
  const again = (await operator.metric('controller_runtime_reconcile_total', labels)) - reconciles;
  printFigure(
    `45 quiet seconds with a resync inside: ${again} reconciles, ${(await writesOfOperator()) - writes} writes`,
  );
  expect(again).toBeGreaterThanOrEqual(models);
  expect((await writesOfOperator()) - writes).toBe(0);
  expect(Math.round(operator.peakMemory() / 1e6)).toBeLessThan(500);
});
