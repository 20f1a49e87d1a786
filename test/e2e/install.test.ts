import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { whyNoNode } from '../harness/cluster/node-requirements.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import { ClusterFixture } from './cluster-fixture.ts';

jest.setTimeout(300_000);
/** The first run on a machine builds Kubernetes and the image. */
const buildTimeoutMs = 90 * 60_000;

const obstacle = await whyNoNode();
if (obstacle !== undefined) process.stderr.write(`  left out, the chart on a node with real containers: ${obstacle}\n`);
const onThisMachine = obstacle === undefined ? describe : describe.skip;

const applicant = JSON.parse(
  '{"LIMIT_BAL":50000,"SEX":2,"EDUCATION":2,"MARRIAGE":1,"AGE":34,"PAY_0":2,"PAY_2":2,"PAY_3":0,"PAY_4":0,"PAY_5":0,"PAY_6":0,"BILL_AMT1":48210,"BILL_AMT2":47105,"BILL_AMT3":46990,"BILL_AMT4":45120,"BILL_AMT5":44310,"BILL_AMT6":43870,"PAY_AMT1":0,"PAY_AMT2":2000,"PAY_AMT3":3100,"PAY_AMT4":1800,"PAY_AMT5":1500,"PAY_AMT6":1500}',
) as Record<string, number>;

function ask(url: string): Promise<Response> {
  return fetch(`${url}/risk-online-prediction`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(applicant),
    signal: AbortSignal.timeout(10_000),
  });
}

onThisMachine('the chart on a cluster with real pods', () => {
  let fixture: ClusterFixture;

  beforeAll(async () => {
    fixture = await ClusterFixture.start();
  }, buildTimeoutMs);

  afterAll(() => fixture?.stop());

  async function condition(type: string): Promise<{ status: string; reason: string; message: string } | undefined> {
    const { status } = (await fixture.get('riskmodels', 'credit-default')) as KubeObject & {
      status?: { conditions?: { type: string; status: string; reason: string; message: string }[] };
    };
    return status?.conditions?.find((candidate) => candidate.type === type);
  }

  test('helm install starts the operator, kubectl apply makes a model that is ready', async () => {
    const started = performance.now();
    await fixture.install();
    printFigure(
      `helm install to the operator's pods being ready: ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
    const applied = performance.now();
    await fixture.applyModel();
    await eventually(async () => expect(await condition('Ready')).toMatchObject({ status: 'True' }), 120_000);
    printFigure(`kubectl apply to Ready: ${((performance.now() - applied) / 1000).toFixed(1)} s`);
  });

  test('an online prediction through the stable Service has the bits of local mode', async () => {
    const inCluster: unknown = await (await ask(await fixture.serviceUrl('credit-default'))).json();
    const local = await LocalSystem.start({ manifest: exampleManifest() });
    try {
      const { url } = await local.startServer();
      expect(inCluster).toEqual(await (await ask(url)).json());
    } finally {
      await local.stop();
    }
  });

  test('updates in a row under load: no request fails', async () => {
    const url = await fixture.serviceUrl('credit-default');
    const failures: string[] = [];
    let asked = 0;
    const stop = new AbortController();
    const load = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        asked++;
        await ask(url).then(
          (answer) => answer.ok || failures.push(`HTTP ${answer.status}`),
          (error: unknown) => failures.push(String((error as Error).cause ?? error)),
        );
        await sleep(20);
      }
    };
    const clients = Array.from({ length: 4 }, load);
    for (const threshold of [0.3, 0.35, 0.4]) {
      const { status } = (await fixture.get('riskmodels', 'credit-default')) as KubeObject & {
        status: { revision: string };
      };
      await fixture.applyModel({ decision: { threshold } });
      await eventually(async () => {
        const now = (await fixture.get('riskmodels', 'credit-default')) as KubeObject & {
          status: { revision: string };
        };
        expect(now.status.revision).not.toBe(status.revision);
      }, 120_000);
    }
    await sleep(8_000);
    stop.abort();
    await Promise.all(clients);
    printFigure(`three updates under load: ${asked} requests, ${failures.length} failed`);
    expect(failures).toEqual([]);
  });

  test('an update to an artifact that does not exist never gets traffic, and the status says why', async () => {
    const url = await fixture.serviceUrl('credit-default');
    await fixture.applyModel({ artifact: { uri: 'gs://risk-models/nothing.onnx', format: 'ONNX', version: '2' } });
    await eventually(async () => {
      const progressing = await condition('Progressing');
      expect(progressing).toMatchObject({ status: 'False', reason: 'ContainerFailed' });
      expect(progressing?.message).toContain('spec.artifact.uri: gs://risk-models/nothing.onnx does not exist');
    }, 120_000);
    expect(await condition('Ready')).toMatchObject({ status: 'True', reason: 'Serving' });
    expect((await ask(url)).status).toBe(200);
    printFigure((await condition('Progressing'))?.message ?? '');

    await fixture.applyModel();
    await eventually(async () => expect(await condition('Progressing')).toMatchObject({ reason: 'UpToDate' }), 120_000);
  });

  test('helm uninstall leaves the model serving and its data in place', async () => {
    await fixture.helm.run(['uninstall', 'riskmodel', '--namespace=riskmodel-system', '--wait']);
    expect((await ask(await fixture.serviceUrl('credit-default'))).status).toBe(200);
    expect(await fixture.get('riskmodels', 'credit-default')).toMatchObject({ kind: 'RiskModel' });
  });
});
