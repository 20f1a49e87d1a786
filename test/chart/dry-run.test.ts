import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { installApi } from '../harness/apis/install-api.ts';
import { ensureBinaries } from '../harness/cluster/binaries.ts';
import { startControlPlane, type ControlPlane } from '../harness/cluster/control-plane.ts';
import { printFigure } from '../harness/figures.ts';
import { HelmChart, releaseNamespace, type RenderedObject } from './helm-chart.ts';
import { variants } from './variants.ts';

jest.setTimeout(120_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

/** Kinds of other projects that some variants make objects of. */
const apis = [
  { apiVersion: 'cert-manager.io/v1', kind: 'Certificate', plural: 'certificates' },
  { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', plural: 'issuers' },
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'ServiceMonitor', plural: 'servicemonitors' },
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'PodMonitor', plural: 'podmonitors' },
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', plural: 'prometheusrules' },
  { apiVersion: 'monitoring.googleapis.com/v1', kind: 'PodMonitoring', plural: 'podmonitorings' },
  { apiVersion: 'monitoring.googleapis.com/v1', kind: 'ClusterRules', plural: 'clusterrules', namespaced: false },
];

let plane: ControlPlane;
let chart: HelmChart;
const accepted = new Set<string>();
let count = 0;

beforeAll(async () => {
  const { helm } = await ensureBinaries(['helm'], log);
  chart = new HelmChart(helm);
  // Its controllers make the service account that each pod is checked against.
  plane = await startControlPlane({ log, controllerManager: true });
  for (const api of apis) await installApi(plane, api);
}, buildTimeoutMs);

afterAll(async () => {
  await plane?.stop();
  printFigure(
    `${variants.length} variants of the chart: the API server takes all ${count} objects, of ${accepted.size} kinds`,
  );
});

function log(line: string): void {
  process.stderr.write(`  ${line}\n`);
}

/** Sends objects to be checked as they would be on their way into the cluster, by everything but the storage. */
function dryRun(objects: readonly object[]): Promise<string> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  return plane.kubectl.run(['apply', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-'], { input });
}

async function makeNamespaces(objects: readonly RenderedObject[]): Promise<void> {
  const names = new Set([releaseNamespace, ...objects.flatMap(({ metadata }) => metadata.namespace ?? [])]);
  for (const name of names) {
    if ((await plane.kubectl.run(['get', 'namespace', name, '--ignore-not-found'])) === '') {
      await plane.kubectl.run(['create', 'namespace', name]);
      await plane.kubectl.run(['-n', name, 'wait', 'serviceaccount/default', '--for=create', '--timeout=50s']);
    }
  }
}

test.each(variants)('the API server takes every object of %s', async (_name, values) => {
  const objects = await chart.render(values);
  await makeNamespaces(objects);
  const names = (await dryRun(objects)).trim().split('\n');
  expect(names).toHaveLength(objects.length);
  count += objects.length;
  for (const { kind } of objects) accepted.add(kind);
});

test.each<[what: string, kind: string, change: (object: RenderedObject) => object]>([
  ['a field that there is not', 'Deployment', (object) => ({ ...object, spec: { ...object.spec, replica: 2 } })],
  [
    'a selector that finds other pods',
    'Deployment',
    (object) => ({ ...object, spec: { ...object.spec, selector: { matchLabels: { a: 'b' } } } }),
  ],
  [
    'a field that cert-manager does not know',
    'Certificate',
    (object) => ({ ...object, spec: { ...object.spec, keyAlgorithm: 'ECDSA' } }),
  ],
])('%s would not pass', async (_what, kind, change) => {
  const objects = await chart.render({ webhook: { certManager: { enabled: true } } });
  await makeNamespaces(objects);
  const wrong = objects
    .filter((object) => object.kind === kind)
    .slice(0, 1)
    .map(change);
  expect(wrong).toHaveLength(1);
  await expect(dryRun(wrong)).rejects.toThrow(/unknown field|selector/);
});
