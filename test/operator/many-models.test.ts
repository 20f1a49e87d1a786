// Many models on a real control plane, with nodes that kwok plays: pods are Running and ready as soon as they are
// scheduled, so that every model comes to serve. What they cost the operator and the API server is printed; all of the
// control plane, kwok and the operator share this machine's cores, so the times are mostly the control plane's.
import { setTimeout as sleep } from 'node:timers/promises';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { startFakeNodes } from '../harness/cluster/fake-nodes.ts';
import type { AuditPolicy } from '../harness/cluster/audit-log.ts';
import { cpuSecondsByProgram } from '../harness/cpu-time.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { repository } from '../harness/local-system.ts';
import { OperatorFixture } from './operator-fixture.ts';
import { OperatorProgram } from './operator-program.ts';

jest.setTimeout(30 * 60_000);

/** A thousand take a small machine too long for every run of the suite; docs/kubernetes.md has the figures of one. */
const models = Number(process.env['RISKMODEL_TEST_MODELS'] ?? 300);
const operatorUser = 'riskmodel-operator';
/** Those that make pods of Deployments, and endpoints of pods; without metrics, autoscalers would only complain. */
const controllers = [
  'deployment-controller',
  'replicaset-controller',
  'endpointslice-controller',
  'node-lifecycle-controller',
  'persistentvolume-binder-controller',
];
const writesAlone: AuditPolicy = {
  rules: [
    { level: 'Metadata', users: [operatorUser], verbs: ['create', 'update', 'patch', 'delete'] },
    { level: 'None' },
  ],
  omitStages: ['RequestReceived'],
};
let fixture: OperatorFixture;
let operator: OperatorProgram;
let stopNodes: (() => Promise<void>) | undefined;

beforeAll(async () => {
  fixture = await OperatorFixture.start({
    audit: writesAlone,
    controllerManager: true,
    controllerManagerArgs: [`--controllers=${controllers.join(',')}`],
    scheduler: true,
    // Memory is there, and the collector would take an eighth of the cores.
    env: { GOGC: '400' },
  });
  await fixture.makeDataVolume();
  // A node takes 1,600 of the pods, two of each model.
  stopNodes = await startFakeNodes(fixture.plane, { count: Math.ceil(models / 500) });
  const kubeconfig = await fixture.plane.kubeconfigFor({ user: operatorUser, groups: ['system:masters'] });
  operator = await OperatorProgram.start(kubeconfig, 'operator-1', { RISKMODEL_RESYNC_SECONDS: '50' });
  await eventually(async () => expect((await fetch(`${operator.url}/readyz`)).status).toBe(200), 60_000);
}, 80 * 60_000);

afterAll(async () => {
  await operator?.kill();
  await stopNodes?.();
  await fixture?.stop();
});

/** What the operator has written so far, but for the lease that its leader renews. */
async function writesOfOperator(): Promise<{ objects: number; events: number }> {
  const resources = (await fixture.plane.auditEvents()).map(({ objectRef }) => objectRef?.resource);
  const events = resources.filter((resource) => resource === 'events').length;
  return { objects: resources.filter((resource) => resource !== 'leases').length - events, events };
}

/** The CPU that each program has used so far, in seconds. */
function cpu(): Map<string, number> {
  return cpuSecondsByProgram(fixture.plane.folder).set('operator', operator.cpuSeconds());
}

interface Progress {
  /** Models that are reconciled: their objects are there, and then the status was written. */
  observed: number;
  /** Models that serve. */
  ready: number;
}

async function progress(): Promise<Progress> {
  const { items } = await fixture.plane.api.call<{
    items: { status?: { observedGeneration?: number; conditions?: { type: string; status: string }[] } }[];
  }>('GET', '/apis/riskmodel.io/v1alpha1/riskmodels?resourceVersion=0');
  const isReady = ({ status }: (typeof items)[number]): boolean =>
    status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
  return {
    observed: items.filter(({ status }) => status?.observedGeneration !== undefined).length,
    ready: items.filter(isReady).length,
  };
}

/** Resolves when nothing has been written for five seconds. */
async function calm(): Promise<void> {
  let before = await writesOfOperator();
  await eventually(async () => {
    await sleep(5_000);
    const now = await writesOfOperator();
    const isCalm = now.objects === before.objects && now.events === before.events;
    before = now;
    expect(isCalm).toBe(true);
  }, 120_000);
}

test('many RiskModels applied at once all come to serve; then nothing is written', async () => {
  const example = parse(await readFile(join(repository, 'examples/credit-default/riskmodel.yaml'), 'utf8')) as {
    spec: object;
  };
  // One pod each to serve, and one to score: more would measure the scheduler.
  const spec = { ...example.spec, online: { replicas: { min: 1, max: 4 } } };
  const queue = Array.from({ length: models }, (_, index) => ({
    ...example,
    metadata: { name: `model-${index}`, namespace: 'risk' },
    spec,
  }));
  const send = async (): Promise<void> => {
    for (let model = queue.pop(); model !== undefined; model = queue.pop())
      await fixture.plane.api.call('POST', '/apis/riskmodel.io/v1alpha1/namespaces/risk/riskmodels', model);
  };
  const before = cpu();
  const started = performance.now();
  const secondsSince = (): number => (performance.now() - started) / 1_000;
  await Promise.all(Array.from({ length: 16 }, send));
  const applied = secondsSince();
  let observed: number | undefined;
  await eventually(async () => {
    const found = await progress();
    if (found.observed === models) observed ??= secondsSince();
    if (found.ready < models) await sleep(3_000);
    expect(found.ready).toBe(models);
  }, 20 * 60_000);
  const ready = secondsSince();

  const labels = { controller: 'riskmodel' };
  const histogram = 'controller_runtime_reconcile_time_seconds';
  const [p50, p99] = await Promise.all([0.5, 0.99].map((q) => operator.quantile(histogram, labels, q)));
  const reconcilesUntilReady = await operator.metric('controller_runtime_reconcile_total', labels);
  await calm();
  const writes = await writesOfOperator();
  const perModel = (count: number): string => (count / models).toFixed(1);
  printFigure(
    `${models} RiskModels applied in ${applied.toFixed(1)} s, all reconciled after ${observed?.toFixed(1)} s, all serving after ` +
      `${ready.toFixed(1)} s; ${reconcilesUntilReady} reconciles, p50 <= ${p50} s, p99 <= ${p99} s; ` +
      `${perModel(writes.objects)} API writes a model and ${perModel(writes.events)} events; operator: at most ` +
      `${Math.round(operator.peakMemory() / 1e6)} MB, of which about 55 MB are the kubeconfig reader's`,
  );
  const used = [...cpu()].map(([name, seconds]) => {
    const milliseconds = ((seconds - (before.get(name) ?? 0)) / models) * 1_000;
    return `${name} ${milliseconds.toFixed(0)} ms`;
  });
  printFigure(`CPU for each model: ${used.join(', ')}`);

  const reconciles = await operator.metric('controller_runtime_reconcile_total', labels);
  await sleep(60_000);
  let again = 0;
  // A resync that began at the end of that time is still under way.
  await eventually(async () => {
    again = (await operator.metric('controller_runtime_reconcile_total', labels)) - reconciles;
    expect(again).toBeGreaterThanOrEqual(models);
  }, 60_000);
  const written = await writesOfOperator();
  printFigure(
    `60 quiet seconds with a resync inside: ${again} reconciles, ${written.objects - writes.objects} writes, ` +
      `${written.events - writes.events} events`,
  );
  expect(written).toEqual(writes);
  expect(Math.round(operator.peakMemory() / 1e6)).toBeLessThan(400);
});
