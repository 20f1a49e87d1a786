import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { writeApplicants } from '../harness/applicants.ts';
import { keepPodDead, killPodProcesses } from '../harness/cluster/kill-pod.ts';
import { startMetricsServer } from '../harness/cluster/metrics-server.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { LocalSystem } from '../harness/local-system.ts';
import { exampleManifest } from '../harness/manifests.ts';
import type { LoadResult } from './client-pod.ts';
import { ClusterFixture, modelName } from './cluster-fixture.ts';
import { isOwnCluster, modelNamespace, systemNamespace, whyNoCluster } from './target-cluster.ts';

jest.setTimeout(300_000);
/** The first run on a machine builds Kubernetes and the image. */
const buildTimeoutMs = 90 * 60_000;
/** What a rollout may take where images are there. */
const rolloutMs = 120_000;

const say = (line: string): void => void process.stderr.write(`  left out, ${line}\n`);
const obstacle = await whyNoCluster();
if (obstacle !== undefined) say(`the chart on a cluster with real pods: ${obstacle}`);
else if (!isOwnCluster)
  say("the leader killed, the API server away: the cluster of E2E_KUBECONFIG is not this test's own");
const onCluster = obstacle === undefined ? describe : describe.skip;
const onOwnCluster = isOwnCluster ? test : test.skip;

const applicant = JSON.parse(
  '{"LIMIT_BAL":50000,"SEX":2,"EDUCATION":2,"MARRIAGE":1,"AGE":34,"PAY_0":2,"PAY_2":2,"PAY_3":0,"PAY_4":0,"PAY_5":0,"PAY_6":0,"BILL_AMT1":48210,"BILL_AMT2":47105,"BILL_AMT3":46990,"BILL_AMT4":45120,"BILL_AMT5":44310,"BILL_AMT6":43870,"PAY_AMT1":0,"PAY_AMT2":2000,"PAY_AMT3":3100,"PAY_AMT4":1800,"PAY_AMT5":1500,"PAY_AMT6":1500}',
) as Record<string, number>;

const prediction = '/risk-online-prediction';
const ratePerSecond = 200;

function secondsSince(startedAt: number): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(1);
}

function describeLoad({ asked, answered, seconds, p50, p99 }: LoadResult): string {
  const rate = Math.round(asked / seconds);
  const times = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(0)} ms`;
  return `${asked} requests at ${rate}/s, ${asked - answered} failed (${times})`;
}

/** Every request that was due was asked, and every one was answered with a prediction. */
function expectNoFailure({ asked, answered, seconds, failures }: LoadResult, rate: number): void {
  expect(failures).toEqual({});
  expect(answered).toBe(asked);
  expect(asked / seconds).toBeGreaterThan(0.99 * rate);
}

// The tests are the life of one installation, in this order.
onCluster('the chart on a cluster with real pods', () => {
  let fixture: ClusterFixture;
  let url: string;

  beforeAll(async () => {
    const startedAt = performance.now();
    fixture = await ClusterFixture.start();
    printFigure(`a cluster with the image and a volume: ${secondsSince(startedAt)} s`);
  }, buildTimeoutMs);

  afterAll(() => fixture?.stop());

  async function isReady(): Promise<void> {
    expect(await fixture.condition('Ready')).toMatchObject({ status: 'True' });
  }

  async function isUpToDate(): Promise<void> {
    expect(await fixture.condition('Progressing')).toMatchObject({ reason: 'UpToDate' });
  }

  async function predict(): Promise<unknown> {
    const { status, body } = await fixture.client.ask('POST', url + prediction, applicant);
    expect(status).toBe(200);
    return JSON.parse(body);
  }

  function startLoad(rate = ratePerSecond): ReturnType<ClusterFixture['client']['startLoad']> {
    return fixture.client.startLoad(url, { ratePerSecond: rate, body: applicant });
  }

  test('helm install starts two replicas of the operator, and helm test finds them ready', async () => {
    const startedAt = performance.now();
    await fixture.install();
    printFigure(`helm install to the operator's pods being ready: ${secondsSince(startedAt)} s`);
    expect((await fixture.operatorPods()).map(({ restarts }) => restarts)).toEqual([0, 0]);
    const tested = await fixture.helm(['test', 'riskmodel', `--namespace=${systemNamespace}`, '--timeout=120s']);
    expect(tested).toMatch(/Phase:\s+Succeeded/);
  });

  test('kubectl apply makes a model that is ready', async () => {
    const startedAt = performance.now();
    await fixture.applyModel();
    await eventually(isReady, rolloutMs);
    printFigure(`kubectl apply to Ready: ${secondsSince(startedAt)} s`);
    url = await fixture.serviceUrl(modelName);
  });

  test('an online prediction through the stable Service has the bits of local mode', async () => {
    const local = await LocalSystem.start({ manifest: exampleManifest() });
    try {
      const { url: localUrl } = await local.startServer();
      const answer = await fetch(localUrl + prediction, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(applicant),
      });
      expect(await predict()).toEqual(await answer.json());
    } finally {
      await local.stop();
    }
  });

  describe('a BatchPrediction', () => {
    const input = 'gs://applications/november.csv';

    function makeRun(name: string): object {
      return {
        apiVersion: 'riskmodel.io/v1alpha1',
        kind: 'BatchPrediction',
        metadata: { name, namespace: modelNamespace },
        spec: { model: modelName, input: { uri: input } },
      };
    }

    test('that is applied becomes Complete, with the tables of local mode', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'riskmodel-e2e-'));
      const local = await LocalSystem.start({ manifest: exampleManifest() });
      try {
        const file = join(folder, 'november.csv');
        await writeApplicants({ rows: 5_000, seed: 7, out: file });
        // Some rows that the model's schema refuses.
        const [, firstRow = ''] = (await readFile(file, 'utf8')).split('\n');
        await appendFile(file, `${firstRow.replace(/^[^,]*,[^,]*/, 'refused,-1')}\n${firstRow.split(',')[0]},\n`);
        await fixture.client.put(input, file);

        const startedAt = performance.now();
        await fixture.apply(makeRun('november'));
        await fixture.kubectl([
          '-n',
          modelNamespace,
          'wait',
          'rbatch/november',
          '--for=condition=Complete',
          '--timeout=55s',
        ]);
        printFigure(`kubectl apply of a BatchPrediction of 5,002 rows to Complete: ${secondsSince(startedAt)} s`);

        await local.put(input, { file });
        await local.startWorker();
        expect((await local.run(input)).state).toBe('done');
        for (const [name, key] of [
          ['results', 'record_index'],
          ['metrics', 'class'],
          ['rejects', 'record_index'],
        ] as const) {
          expect(await fixture.client.copyTable(`risk_model_${name}`, folder)).toBe(1);
          const rowsOf = (table: string): Promise<Record<string, unknown>[]> =>
            local.query(`SELECT * EXCLUDE (batch_id, pred_datetime) FROM ${table} ORDER BY ${key}`);
          const rows = await rowsOf(`read_parquet('${folder}/risk_model_${name}/*.parquet')`);
          expect(rows.length).toBe({ results: 5_000, metrics: 5, rejects: 2 }[name]);
          expect(rows).toEqual(await rowsOf(local.table(name)));
        }
      } finally {
        await local.stop();
        await rm(folder, { recursive: true });
      }
    });

    test('is told by kubectl get', async () => {
      const [head = '', row = ''] = (await fixture.kubectl(['-n', modelNamespace, 'get', 'rbatch'])).split('\n');
      printFigure(`kubectl get rbatch\n    ${head}\n    ${row}`);
      expect(head.split(/\s+/)).toEqual(['NAME', 'STATE', 'DONE', 'TOTAL', 'REJECTED', 'MODEL', 'AGE']);
      expect(row.split(/\s+/).slice(0, 6)).toEqual(['november', 'done', '5000', '5002', '2', modelName]);
    });

    test('that is deleted is called off', async () => {
      const worker = `deployment/${modelName}-worker`;
      const scale = (replicas: number): Promise<string> =>
        fixture.kubectl(['-n', modelNamespace, 'scale', worker, `--replicas=${replicas}`]);
      await scale(0);
      await eventually(async () => {
        const selector = 'app.kubernetes.io/component=queue-worker';
        expect(await fixture.pods(modelNamespace, selector)).toEqual([]);
      }, 60_000);
      await fixture.apply(makeRun('december'));
      let id = '';
      await eventually(async () => {
        const { status } = await fixture.get<KubeObject & { status?: { batchId?: string } }>('rbatch', 'december');
        id = status?.batchId ?? '';
        expect(id).not.toBe('');
      });
      await fixture.kubectl(['-n', modelNamespace, 'delete', 'rbatch', 'december', '--timeout=50s']);
      const { body } = await fixture.client.ask('GET', `${url}/batches/${id}`);
      expect(JSON.parse(body)).toMatchObject({ state: 'cancelled' });
      await scale(1);
    });
  });

  test('ten updates in a row under load: no request fails', async () => {
    const load = await startLoad();
    const startedAt = performance.now();
    for (let update = 1; update <= 10; update++) await fixture.update(0.25 + update / 100);
    const took = secondsSince(startedAt);
    // Until the last revision that was replaced has drained: twice its three seconds, and its pods' own end.
    await sleep(16_000);
    const result = await load.stop();
    printFigure(`ten updates in ${took} s under load: ${describeLoad(result)}`);
    expectNoFailure(result, ratePerSecond);
  });

  test('updates that cannot start never get traffic, the status says why, and a fixed manifest recovers', async () => {
    const load = await startLoad();
    const before = (await fixture.model()).status?.revision;
    const breaks: [Record<string, unknown>, string, string | RegExp][] = [
      [
        { artifact: { uri: 'gs://risk-models/nothing.onnx', format: 'ONNX', version: '2' } },
        'ContainerFailed',
        'spec.artifact.uri: gs://risk-models/nothing.onnx does not exist',
      ],
      [{ online: { replicas: { min: 2, max: 3 }, resources: { requests: { cpu: '64' } } } }, 'Unschedulable', /cpu/i],
    ];
    for (const [spec, reason, message] of breaks) {
      await fixture.applyModel(spec);
      await eventually(async () => {
        const progressing = await fixture.condition('Progressing');
        expect(progressing).toMatchObject({ status: 'False', reason });
        expect(progressing?.message).toMatch(message);
      }, rolloutMs);
      printFigure((await fixture.condition('Progressing'))?.message ?? '');
      expect(await fixture.condition('Ready')).toMatchObject({ status: 'True', reason: 'Serving' });
      expect((await fixture.model()).status?.revision).toBe(before);
    }
    await fixture.applyModel();
    await eventually(isUpToDate, rolloutMs);
    expect((await fixture.model()).status?.revision).not.toBe(before);
    await sleep(8_000);
    const result = await load.stop();
    printFigure(`two broken updates and a fixed one under load: ${describeLoad(result)}`);
    expectNoFailure(result, ratePerSecond);
  });

  test('kubectl scale of the model reaches its pods', async () => {
    const startedAt = performance.now();
    await fixture.kubectl(['-n', modelNamespace, 'scale', 'riskmodel', modelName, '--replicas=3']);
    const { spec } = await fixture.model();
    expect(spec.online.replicas.min).toBe(3);
    await eventually(async () => {
      const autoscaler = await fixture.get<KubeObject & { spec: { minReplicas: number } }>('hpa', modelName);
      expect(autoscaler.spec.minReplicas).toBe(3);
      expect((await fixture.model()).status).toMatchObject({ replicas: 3, readyReplicas: 3 });
    }, rolloutMs);
    printFigure(`kubectl scale riskmodel to 3 to three ready pods: ${secondsSince(startedAt)} s`);
  });

  onOwnCluster('the leader killed with -9: the other replica takes over, and nothing is written twice', async () => {
    const leader = await fixture.leader();
    const killedAt = Date.now();
    expect(await killPodProcesses(leader)).toBeGreaterThan(0);
    // The kubelet starts it again, and it would take its own lease at once: a machine that fails does not come back.
    const takenOver = new AbortController();
    const dead = keepPodDead(leader, takenOver.signal);
    try {
      const served = fixture.update(0.5).then(() => Date.now());
      await eventually(async () => expect(await fixture.leader()).not.toBe(leader), 90_000);
      const tookMs = Date.now() - killedAt;
      const servedMs = (await served) - killedAt;
      printFigure(
        `leader killed: the other leads after ${(tookMs / 1_000).toFixed(1)} s, a change made meanwhile is served after ${(servedMs / 1_000).toFixed(1)} s`,
      );
    } finally {
      takenOver.abort();
      await dead;
    }
    const successor = await fixture.leader();
    const events = (await fixture.target.own?.plane.auditEvents()) ?? [];
    const writes = events.filter(
      ({ requestReceivedTimestamp, objectRef, responseStatus }) =>
        Date.parse(requestReceivedTimestamp) > killedAt &&
        objectRef?.namespace === modelNamespace &&
        objectRef.resource !== 'events' &&
        (responseStatus?.code ?? 500) < 300,
    );
    expect(writes.length).toBeGreaterThan(5);
    const writers = new Set(writes.map(({ user }) => user.extra?.['authentication.kubernetes.io/pod-name']?.[0]));
    expect([...writers]).toEqual([successor]);
    // Twice in a row: a state may well come again after another one.
    const last = new Map<string, string>();
    const repeated = writes.filter(({ verb, requestURI, requestObject }) => {
      const content = JSON.stringify([verb, requestObject]);
      const isRepeated = last.get(requestURI) === content;
      last.set(requestURI, content);
      return isRepeated;
    });
    expect(repeated.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
    printFigure(`${writes.length} writes of the new leader, none of them twice, none of anybody else`);
  });

  onOwnCluster('the API server away for a minute: the model serves on, and all goes on without a restart', async () => {
    const downMs = 60_000;
    const rate = 50;
    await eventually(async () => {
      const ready = ['-n', systemNamespace, 'wait', 'pod', '--selector=app.kubernetes.io/component=operator'];
      await fixture.kubectl([...ready, '--for=condition=Ready', '--timeout=50s']);
    }, 60_000);
    const before = { operator: await fixture.operatorPods(), model: await fixture.modelPods() };
    const load = await startLoad(rate);
    await fixture.target.own?.plane.restartApiServer({ downMs });
    const backAt = performance.now();
    const served = await fixture.startUpdate(0.6);
    await eventually(async () => {
      const { metadata, status } = await fixture.model();
      expect(status?.observedGeneration).toBe(metadata.generation);
      expect(status?.conditions).toContainEqual(expect.objectContaining({ reason: 'RollingOut' }));
    }, rolloutMs);
    const reconciled = secondsSince(backAt);
    await served();
    const took = secondsSince(backAt);
    await eventually(isUpToDate, rolloutMs);
    const result = await load.stop();
    printFigure(`API server away for 60 s: ${describeLoad(result)}`);
    printFigure(
      `API server back: a change is reconciled after ${reconciled} s, and served, once Kubernetes' own controllers are back too, after ${took} s`,
    );
    expectNoFailure(result, rate);
    expect(await fixture.operatorPods()).toEqual(before.operator);
    const restarts = (await fixture.modelPods()).map((pod) => pod.restarts);
    expect(restarts.every((count) => count === 0)).toBe(true);
  });

  test('helm uninstall leaves the model serving and its data in place', async () => {
    // Nobody is there to end what is still draining.
    const { status } = await fixture.model();
    const replaced = `riskmodel.io/revision,riskmodel.io/revision!=${status?.revision}`;
    await eventually(async () => expect(await fixture.pods(modelNamespace, replaced)).toEqual([]), rolloutMs);
    const before = await fixture.modelPods();
    await fixture.helm(['uninstall', 'riskmodel', `--namespace=${systemNamespace}`, '--wait']);
    await eventually(async () => expect(await fixture.operatorPods()).toEqual([]), 60_000);
    expect(await predict()).toHaveLength(2);
    expect(await fixture.modelPods()).toEqual(before);
    expect(await fixture.model()).toMatchObject({ kind: 'RiskModel', status: { revision: expect.any(String) } });
    expect(await fixture.get('rbatch', 'november')).toMatchObject({ status: { state: 'done' } });
    const crds = await fixture.kubectl(['get', 'crd', '--output=name']);
    expect(crds).toContain('riskmodels.riskmodel.io');
    expect(crds).toContain('batchpredictions.riskmodel.io');
  });

  test('helm install again takes over, and restarts nothing that serves', async () => {
    const before = await fixture.modelPods();
    const startedAt = performance.now();
    await fixture.install();
    await fixture.kubectl(['-n', modelNamespace, 'delete', 'pdb', modelName]);
    await eventually(async () => void (await fixture.get('pdb', modelName)), 60_000);
    printFigure(`helm install again to a model that is looked after: ${secondsSince(startedAt)} s`);
    await eventually(isUpToDate, rolloutMs);
    expect(await fixture.modelPods()).toEqual(before);
  });

  onOwnCluster('the autoscaler reads what the pods use', async () => {
    const { own } = fixture.target;
    const metricsServer = own && (await startMetricsServer(own));
    const startedAt = performance.now();
    const isSeen = async (): Promise<void> => {
      const { status } = await fixture.get<KubeObject & { status: AutoscalerStatus }>('hpa', modelName);
      expect(status.conditions).toContainEqual(expect.objectContaining({ type: 'ScalingActive', status: 'True' }));
      const [metric] = status.currentMetrics ?? [];
      expect(metric?.resource).toMatchObject({ name: 'cpu', current: { averageUtilization: expect.any(Number) } });
      printFigure(
        `the autoscaler sees ${metric?.resource?.current.averageUtilization} % of the CPU asked for, ${secondsSince(startedAt)} s after there are metrics`,
      );
    };
    try {
      await eventually(isSeen, 180_000);
    } finally {
      await metricsServer?.kill();
    }
  });
});

interface AutoscalerStatus {
  conditions?: { type: string; status: string }[];
  currentMetrics?: { resource?: { name: string; current: { averageUtilization?: number } } }[];
}
