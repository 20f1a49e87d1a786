import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RiskModelStatus } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import type { KubeObject } from '@riskmodel/operator/kube/object.ts';
import { Redis } from 'ioredis';
import type { AuditEvent, AuditPolicy } from '../harness/cluster/audit-log.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { startCuttingProxy, type CuttingProxy } from '../operator-runtime/cutting-proxy.ts';
import { OperatorFixture } from './operator-fixture.ts';
import { OperatorProgram } from './operator-program.ts';
import { callsOfOperator, operatorAccount } from './operator-rights.ts';

jest.setTimeout(300_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

const installation = 'faults';
const modelLabel = 'riskmodel.io/model';
const revisionLabel = 'riskmodel.io/revision';
const riskModelsPath = '/apis/riskmodel.io/v1alpha1/namespaces/risk/riskmodels';
const writeVerbs = ['create', 'update', 'patch', 'delete'];
/** Who asked for what, and what was written. */
const writesInFull: AuditPolicy = {
  rules: [{ level: 'Request', verbs: writeVerbs }, { level: 'Metadata' }],
  omitStages: ['RequestReceived'],
};

let fixture: OperatorFixture;
/** Between operators and the API server, so that connections can be cut and nobody else's. */
let proxy: CuttingProxy;
let kubeconfig: string;
let programs: OperatorProgram[] = [];

beforeAll(async () => {
  // Without its own cache the API server reads watches from etcd, so compacting that makes the past unknown (410).
  fixture = await OperatorFixture.start({ audit: writesInFull, apiServerArgs: ['--watch-cache=false'] });
  proxy = await startCuttingProxy(new URL(fixture.plane.url));
  kubeconfig = await kubeconfigThrough(proxy.port);
}, buildTimeoutMs);

afterEach(async () => {
  await fixture.plane.api.call('DELETE', riskModelsPath);
  await eventually(async () => expect(await fixture.list('riskmodels')).toEqual([]), 60_000);
  await Promise.all(programs.map((program) => program.kill()));
  programs = [];
});

afterAll(async () => {
  await proxy?.close();
  await fixture?.stop();
  const redis = new Redis(process.env['REDIS_URL'] as string);
  const keys = await redis.keys(`${installation}:*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
});

async function kubeconfigThrough(port: number): Promise<string> {
  const direct = await readFile(await fixture.plane.kubeconfigFor({ serviceAccount: operatorAccount }), 'utf8');
  const file = join(fixture.plane.folder, `through-${port}.kubeconfig`);
  await writeFile(file, direct.replace(fixture.plane.url, `https://127.0.0.1:${port}`));
  return file;
}

/** A replica, once its caches are full. */
async function startReplica(name: string): Promise<OperatorProgram> {
  const program = await OperatorProgram.start(kubeconfig, name, { RISKMODEL_REDIS_PREFIX: installation });
  programs.push(program);
  await eventually(async () => expect((await fetch(`${program.url}/readyz`)).status).toBe(200), 60_000);
  return program;
}

/** One before it may have left a lease of fifteen seconds. */
async function untilLeads(program: OperatorProgram): Promise<void> {
  await eventually(async () => expect(await program.metric('leader_election_master_status')).toBe(1), 60_000);
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

async function serversOf(models: readonly string[]): Promise<KubeObject[]> {
  const all = await fixture.list('deployments');
  return all.filter(
    ({ metadata: { labels = {} } }) => models.includes(labels[modelLabel] ?? '') && labels[revisionLabel],
  );
}

interface Replicas {
  spec: { replicas: number };
  status?: { observedGeneration?: number; availableReplicas?: number };
}

/** Says of every serving Deployment that its pods are available, as far as that is new. */
async function playAll(models: readonly string[]): Promise<void> {
  for (const deployment of (await serversOf(models)) as (KubeObject & Replicas)[]) {
    const { metadata, spec, status = {} } = deployment;
    const isPlayed = status.observedGeneration === metadata.generation && status.availableReplicas === spec.replicas;
    if (!isPlayed) await fixture.playDeployment(metadata.name);
  }
}

/** Plays along until every model serves what its manifest asks for, and its Service leads there. */
async function untilSettled(models: readonly string[], threshold: number): Promise<void> {
  await eventually(async () => {
    await playAll(models);
    const [riskModels, services, configMaps] = await Promise.all(
      ['riskmodels', 'services', 'configmaps'].map((kind) => fixture.list(kind)),
    );
    for (const name of models) {
      const model = riskModels?.find(({ metadata }) => metadata.name === name);
      const status = (model?.['status'] ?? {}) as RiskModelStatus;
      expect(status.observedGeneration).toBe(model?.metadata.generation);
      expect(status.conditions?.find(({ type }) => type === 'Progressing')?.reason).toBe('UpToDate');
      const service = services?.find(({ metadata }) => metadata.name === name);
      const { selector = {} } = (service?.['spec'] ?? {}) as { selector?: Record<string, string> };
      expect(selector[revisionLabel]).toBe(status.revision);
      const read = configMaps?.find(({ metadata }) => metadata.name === `${name}-${status.revision}`);
      const { 'riskmodel.json': manifest = '{}' } = (read?.['data'] ?? {}) as Record<string, string>;
      expect(JSON.parse(manifest)).toMatchObject({ spec: { decision: { threshold } } });
    }
  }, 90_000);
}

/** What the operator has written of models and their objects, and what it was killed in the middle of writing. */
async function writes(): Promise<{ done: AuditEvent[]; cutOff: AuditEvent[] }> {
  const calls = callsOfOperator(await fixture.plane.auditEvents()).filter(
    ({ verb, objectRef }) => writeVerbs.includes(verb) && !['leases', 'events'].includes(objectRef?.resource ?? ''),
  );
  return {
    done: calls.filter((call) => codeOf(call) < 300),
    // A caller that is gone is told that it took too long, whether its write had an effect or not.
    cutOff: calls.filter((call) => codeOf(call) >= 499),
  };
}

function codeOf({ responseStatus }: AuditEvent): number {
  return responseStatus?.code ?? 500;
}

function targetOf({ objectRef }: AuditEvent): string {
  return [objectRef?.resource, objectRef?.subresource, objectRef?.name].filter(Boolean).join('/');
}

/** Objects that were made more than once. */
function madeTwice(all: readonly AuditEvent[]): string[] {
  const made = all.filter(({ responseStatus }) => responseStatus?.code === 201).map(targetOf);
  return made.filter((target, index) => made.indexOf(target) !== index);
}

/** Writes that say what the last one of the same manager to the same object said. */
function saidTwice(all: readonly AuditEvent[]): string[] {
  const last = new Map<string, string>();
  return all.flatMap((event) => {
    const manager = new URL(event.requestURI, 'http://localhost').searchParams.get('fieldManager') ?? '';
    const key = `${targetOf(event)} by ${manager}`;
    const said = JSON.stringify(event.requestObject);
    const isRepeated = last.get(key) === said;
    last.set(key, said);
    return isRepeated ? [key] : [];
  });
}

/** How often what was written, but for status, for models whose names begin so; names and revisions left out. */
function profile(all: readonly AuditEvent[], prefix: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { verb, objectRef, requestURI } of all) {
    if (objectRef?.subresource !== undefined || objectRef?.name?.startsWith(prefix) !== true) continue;
    const manager = new URL(requestURI, 'http://localhost').searchParams.get('fieldManager') ?? '';
    const key = `${verb} ${objectRef.resource} ${manager}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/**
 * Kinds of writes of which models whose leader was killed got more, or fewer, than those that nobody disturbed. One that
 * was cut off may stand for one that is lacking.
 */
function differences({ done, cutOff }: Awaited<ReturnType<typeof writes>>): string[] {
  const [calm, killed, unanswered] = [profile(done, 'calm-'), profile(done, 'killed-'), profile(cutOff, 'killed-')];
  return [...new Set([...Object.keys(calm), ...Object.keys(killed)])].flatMap((kind) => {
    const [lacking, mayBe] = [(calm[kind] ?? 0) - (killed[kind] ?? 0), unanswered[kind] ?? 0];
    return lacking >= 0 && lacking <= mayBe ? [] : [`${kind}: ${lacking} lacking, ${mayBe} cut off`];
  });
}

describe('no event is lost', () => {
  test('while every watch is dropped every two seconds', async () => {
    const operator = await startReplica('operator-1');
    await untilLeads(operator);
    const models = names('dropped', 20);
    const cutsBefore = proxy.cuts;
    proxy.cutEvery(2_000);
    const started = performance.now();
    let changes = 0;
    try {
      for (const threshold of [0.31, 0.32, 0.33]) {
        await fixture.applyModels(models, { decision: { threshold } });
        changes += models.length;
        await untilSettled(models, threshold);
        // Drift that nothing but its event tells of.
        const gone = models.filter((_, index) => index % 4 === 0);
        await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'service', ...gone]);
        changes += gone.length;
        await untilSettled(models, threshold);
      }
      await fixture.plane.kubectl.run(['-n', 'risk', 'delete', 'riskmodel', ...models.slice(0, 5), '--timeout=60s']);
      changes += 5;
    } finally {
      proxy.cutEvery(0);
    }
    const cuts = proxy.cuts - cutsBefore;
    expect(cuts).toBeGreaterThanOrEqual(3);
    expect(operator.isRunning).toBe(true);
    printFigure(
      `${changes} changes to ${models.length} models and their objects while all watches were dropped ${cuts} times in ` +
        `${((performance.now() - started) / 1_000).toFixed(0)} s: all put into effect, no restart`,
    );
  });

  test('of what happened out of sight and was compacted away (410)', async () => {
    const operator = await startReplica('operator-1');
    await untilLeads(operator);
    const models = names('expired', 10);
    await fixture.applyModels(models, { decision: { threshold: 0.31 } });
    await untilSettled(models, 0.31);
    const before = await operator.metric('reflector_failures_total', { reason: 'Expired' });

    const { port } = proxy;
    const [deleted = '', drifted = '', ...others] = models;
    const added = names('late', 3);
    const { apiVersion, kind, spec } = (await fixture.get('riskmodels', drifted)) as KubeObject;
    const { api } = fixture.plane;
    const decision = { threshold: 0.32 };
    const update = (name: string): Promise<unknown> =>
      api.call('PATCH', `${riskModelsPath}/${name}`, { spec: { decision } }, 'application/merge-patch+json');
    const add = (name: string): Promise<unknown> => {
      const changed = { ...(spec as object), decision };
      return api.call('POST', riskModelsPath, { apiVersion, kind, metadata: { name }, spec: changed });
    };
    // Soon enough for the leader to be able to renew its lease in time.
    await proxy.close();
    await Promise.all([
      api.call('DELETE', `${riskModelsPath}/${deleted}`),
      api.call('DELETE', `/api/v1/namespaces/risk/services/${drifted}`),
      ...[drifted, ...others].map(update),
      ...added.map(add),
    ]);
    await fixture.plane.compactEtcd();
    proxy = await startCuttingProxy(new URL(fixture.plane.url), port);
    const back = performance.now();
    await untilSettled([drifted, ...others, ...added], 0.32);
    await eventually(async () => expect(await fixture.get('riskmodels', deleted)).toBeUndefined());
    const expired = (await operator.metric('reflector_failures_total', { reason: 'Expired' })) - before;
    expect(expired).toBeGreaterThan(0);
    expect(operator.isRunning).toBe(true);
    printFigure(
      `14 changes out of sight and compacted away: ${expired} watches got 410, all put into effect ` +
        `${((performance.now() - back) / 1_000).toFixed(1)} s after the connection was back`,
    );
  });
});

/** Milliseconds until a replica leads. */
async function takeOver(program: OperatorProgram): Promise<number> {
  const killed = performance.now();
  await untilLeads(program);
  return performance.now() - killed;
}

describe('a leader that is killed with -9', () => {
  test('is followed by another, and nothing is written twice', async () => {
    const models = names('killed', 30);
    const first = await startReplica('operator-1');
    await untilLeads(first);
    const second = await startReplica('operator-2');

    // In the middle of making the models' objects.
    await fixture.applyModels(models, { decision: { threshold: 0.31 } });
    await eventually(async () => expect((await serversOf(models)).length).toBeGreaterThan(3));
    await first.kill();
    const left = models.length - (await serversOf(models)).length;
    const firstTookMs = await takeOver(second);

    // In the middle of moving traffic.
    const third = await startReplica('operator-3');
    await eventually(async () => expect(await serversOf(models)).toHaveLength(models.length), 60_000);
    await playAll(models);
    await second.kill();
    const secondTookMs = await takeOver(third);
    await untilSettled(models, 0.31);

    // What one operator does that nobody disturbs.
    const calm = names('calm', models.length);
    await fixture.applyModels(calm, { decision: { threshold: 0.31 } });
    await untilSettled(calm, 0.31);
    await eventually(async () => expect(differences(await writes())).toEqual([]));
    // What should not be written might still come.
    await sleep(2_000);

    const all = await writes();
    const disturbed = all.done.filter(({ objectRef }) => objectRef?.name?.startsWith('killed-'));
    expect(madeTwice(disturbed)).toEqual([]);
    expect(saidTwice(disturbed)).toEqual([]);
    expect(await serversOf(models)).toHaveLength(models.length);
    expect(differences(all)).toEqual([]);
    const count = Object.values(profile(all.done, 'killed-')).reduce((sum, each) => sum + each, 0);
    printFigure(
      `leader killed with -9 with ${left} of ${models.length} models to make, and again while traffic moved: another ` +
        `leads after ${(firstTookMs / 1_000).toFixed(1)} and ${(secondTookMs / 1_000).toFixed(1)} s; ${count} writes, as ` +
        `many as undisturbed, none twice`,
    );
  });
});
