import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { compileRules } from '@riskmodel/core/riskmodel/cel.ts';
import { applyDefaults } from '@riskmodel/core/riskmodel/defaults.ts';
import type { Problem } from '@riskmodel/core/riskmodel/problem.ts';
import { readResourceKind, riskModelCrdFile } from '@riskmodel/core/riskmodel/resource-kind.ts';
import { validationCases } from '@riskmodel/core/riskmodel/validation-cases.ts';
import { makeValidator } from '@riskmodel/core/riskmodel/validator.ts';
import { checkSchema } from '@riskmodel/core/riskmodel/zz_generated.riskmodel-check.ts';
import type { ApiAnswer } from '../harness/cluster/api-client.ts';
import { everyRequest } from '../harness/cluster/audit-log.ts';
import { startControlPlane, type ControlPlane } from '../harness/cluster/control-plane.ts';
import { startFakeNodes } from '../harness/cluster/fake-nodes.ts';
import { makeHelm } from '../harness/cluster/helm.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { repository } from '../harness/local-system.ts';

jest.setTimeout(180_000);

/** The first run builds Kubernetes. */
const buildTimeoutMs = 90 * 60_000;

/** A namespace with nothing in it, so no name is taken. */
const riskModels = '/apis/riskmodel.io/v1alpha1/namespaces/cases/riskmodels';
const exampleFile = join(repository, 'examples/credit-default/riskmodel.yaml');

const { schema } = readResourceKind(riskModelCrdFile);
const findSchemaProblems = makeValidator(schema, checkSchema);
const findRuleProblems = compileRules(schema);

const log = (line: string): void => void process.stderr.write(`  ${line}\n`);

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({
    controllerManager: true,
    scheduler: true,
    audit: everyRequest,
    log,
  });
  printFigure(`a control plane from nothing to ready in ${(plane.startMs / 1_000).toFixed(1)} s`);
}, buildTimeoutMs);

afterAll(async () => {
  await plane?.stop();
});

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'idle', namespace: 'trial' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'idle' } },
    template: {
      metadata: { labels: { app: 'idle' } },
      spec: { containers: [{ name: 'idle', image: 'idle', resources: { requests: { cpu: '10m' } } }] },
    },
  },
};

test('kubectl creates a namespace and a Deployment, which the controllers take up', async () => {
  const startedAt = performance.now();
  await plane.kubectl.run(['create', 'namespace', 'trial']);
  await plane.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(deployment) });
  await eventually(async () => {
    const sets = await plane.kubectl.json<{ items: unknown[] }>(['-n', 'trial', 'get', 'replicasets']);
    expect(sets.items).toHaveLength(1);
    const pods = await plane.kubectl.json<{ items: Pod[] }>(['-n', 'trial', 'get', 'pods']);
    // There is no node, and the scheduler says so.
    expect(pods.items.map(({ status }) => status.conditions?.[0]?.reason)).toEqual(['Unschedulable', 'Unschedulable']);
  }, 60_000);
  printFigure(`a Deployment's pods exist ${since(startedAt)} ms after the first kubectl`);
});

interface Pod {
  status: { conditions?: { reason: string }[] };
}

test('kwok plays nodes that the pods run on, as far as anybody can tell', async () => {
  const startedAt = performance.now();
  const stop = await startFakeNodes(plane, { count: 2, log });
  try {
    await plane.kubectl.run(['-n', 'trial', 'rollout', 'status', 'deployment/idle', '--timeout=50s']);
    printFigure(`two nodes that are played, and the pods on them ready, in ${since(startedAt)} ms`);
    await plane.kubectl.run(['-n', 'trial', 'delete', 'deployment', 'idle', '--cascade=foreground']);
  } finally {
    await stop();
  }
});

test('helm installs a chart, and takes it away', async () => {
  const helm = await makeHelm(plane, log);
  const chart = await mkdtemp(join(tmpdir(), 'riskmodel-chart-'));
  try {
    await mkdir(join(chart, 'templates'));
    await writeFile(join(chart, 'Chart.yaml'), JSON.stringify({ apiVersion: 'v2', name: 'small', version: '1.0.0' }));
    const data = { release: '{{ .Release.Name }}' };
    const template = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'from-chart' }, data };
    await writeFile(join(chart, 'templates', 'config.yaml'), JSON.stringify(template));
    await helm.run(['install', 'first', chart]);
    expect(await plane.kubectl.json(['get', 'configmap', 'from-chart'])).toMatchObject({ data: { release: 'first' } });
    await helm.run(['uninstall', 'first', '--wait']);
    expect(await helm.json(['list'])).toEqual([]);
  } finally {
    await rm(chart, { recursive: true });
  }
});

test('the API server is stopped, and killed, and comes back with what it had', async () => {
  await plane.kubectl.run(['create', 'configmap', 'kept', '--from-literal=a=1']);
  for (const kill of [false, true]) {
    const startedAt = performance.now();
    await plane.restartApiServer({ kill });
    printFigure(`kube-apiserver ${kill ? 'killed' : 'stopped'} and back in ${since(startedAt)} ms`);
    expect(await plane.kubectl.json(['get', 'configmap', 'kept'])).toMatchObject({ data: { a: '1' } });
  }
});

test('a watch from before a compaction of etcd gets 410', async () => {
  const path = '/api/v1/namespaces/default/configmaps';
  const before = await plane.api.call<{ metadata: { resourceVersion: string } }>('GET', path);
  await plane.kubectl.run(['create', 'configmap', 'later']);
  await plane.compactEtcd();
  // What the API server remembers by itself goes with it.
  await plane.restartApiServer();
  const { resourceVersion } = before.metadata;
  const answer = await plane.api.send('GET', `${path}?watch=true&timeoutSeconds=5&resourceVersion=${resourceVersion}`);
  expect(JSON.stringify(answer)).toContain('410');
});

test('a service account has a kubeconfig, and is let do what its role allows', async () => {
  await plane.kubectl.run(['create', 'serviceaccount', 'reader']);
  const kubeconfig = await plane.kubeconfigFor({ serviceAccount: 'default/reader' });
  await expect(plane.kubectl.as(kubeconfig).run(['get', 'configmaps'])).rejects.toThrow(
    'User "system:serviceaccount:default:reader" cannot list resource "configmaps"',
  );
  await plane.kubectl.run(['create', 'rolebinding', 'reader', '--clusterrole=view', '--serviceaccount=default:reader']);
  await eventually(async () => void (await plane.kubectl.as(kubeconfig).run(['get', 'configmaps'])));
  // A request is written down when it has been answered.
  await eventually(async () => {
    const events = await plane.auditEvents();
    const own = events.filter(({ user }) => user.username === 'system:serviceaccount:default:reader');
    expect(own.findLast(({ objectRef }) => objectRef?.resource === 'configmaps')).toMatchObject({
      verb: 'list',
      responseStatus: { code: 200 },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
  });
});

describe('the RiskModel CRD', () => {
  beforeAll(async () => {
    await plane.kubectl.run(['apply', '--server-side', '-f', riskModelCrdFile]);
    await plane.kubectl.run(['wait', '--for=condition=Established', '-f', riskModelCrdFile]);
  });

  test('takes the example by server-side apply, and puts the defaults in place', async () => {
    await plane.kubectl.run(['apply', '--server-side', '-f', exampleFile]);
    const stored = await plane.kubectl.json<{ spec: object }>(['get', 'riskmodel', 'credit-default']);
    const { value } = findSchemaProblems(parse(await readFile(exampleFile, 'utf8')));
    expect(stored.spec).toEqual((value as { spec: object }).spec);
  });

  describe('judges every manifest of the validation cases as local validation does', () => {
    let answers: ApiAnswer[];

    beforeAll(async () => {
      await plane.kubectl.run(['create', 'namespace', 'cases']);
      const startedAt = performance.now();
      const path = `${riskModels}?dryRun=All&fieldValidation=Strict`;
      answers = await Promise.all(validationCases.map(({ manifest }) => plane.api.send('POST', path, manifest)));
      const milliseconds = since(startedAt);
      printFigure(`${answers.length} manifests judged by the API server in ${milliseconds} ms`);
    });

    // What the schema can't say is for the webhook: here the API server takes what only the semantic checks refuse.
    test.each(validationCases.map(({ name, manifest }, index) => ({ name, manifest, index })))(
      '$name',
      ({ manifest, index }) => {
        const { status, body } = answers[index] as ApiAnswer;
        const { problems } = findSchemaProblems(manifest);
        expect({ isTaken: status === 201, body }).toEqual({ isTaken: problems.length === 0, body });
        const causes = (body as { details?: { causes?: Cause[] } }).details?.causes ?? [];
        for (const { path, message } of rulesAmong(problems, manifest)) {
          expect(causes).toContainEqual(
            expect.objectContaining({ field: path, message: expect.stringContaining(message) }),
          );
        }
      },
    );
  });
});

interface Cause {
  field: string;
  message: string;
}

/** The problems that CEL rules found: with these the API server says the very words. */
function rulesAmong(problems: Problem[], manifest: unknown): Problem[] {
  const ofRules = findRuleProblems(applyDefaults(manifest, schema), () => false);
  return problems.filter((problem) => ofRules.some((other) => isDeepStrictEqual(other, problem)));
}
