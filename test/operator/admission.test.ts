import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { validationCases } from '@riskmodel/core/riskmodel/validation-cases.ts';
import { validationCases as batchCases } from '@riskmodel/core/batchprediction/validation-cases.ts';
import { freePort } from '@riskmodel/core/free-port.ts';
import { chartFolder, releaseNamespace } from '../chart/helm-chart.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';
import { eventually } from '../harness/eventually.ts';
import { printFigure } from '../harness/figures.ts';
import { OperatorProgram } from './operator-program.ts';
import {
  configure,
  configureService,
  startPlane,
  webhookName,
  WebhookReplica,
  type Cluster,
} from './webhook-replica.ts';

jest.setTimeout(180_000);
/** The first run on a machine builds Kubernetes. */
const buildTimeoutMs = 80 * 60_000;

type ReplicaOptions = Parameters<typeof WebhookReplica.start> extends [unknown, ...infer Rest] ? Rest : never;

let cluster: Cluster;
let plane: ControlPlane;
let replicas: WebhookReplica[] = [];

beforeAll(async () => {
  cluster = await startPlane();
  ({ plane } = cluster);
}, buildTimeoutMs);

afterAll(async () => plane?.stop());

async function startReplica(...options: ReplicaOptions): Promise<WebhookReplica> {
  const replica = await WebhookReplica.start(plane, ...options);
  replicas.push(replica);
  return replica;
}

async function stopReplicas(): Promise<void> {
  await Promise.all(replicas.map((replica) => replica.stop()));
  replicas = [];
}

const feature = (name: string): object => ({ name, type: 'Number' });
const artifact = { uri: 'gs://risk-models/model.onnx', format: 'ONNX', sha256: 'ab'.repeat(32) };

function model(name: string, spec: object = {}): object {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name, namespace: 'risk' },
    spec: { artifact, features: [feature('AGE')], ...spec },
  };
}

function batch(name: string, spec: object = {}): object {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'BatchPrediction',
    metadata: { name, namespace: 'risk' },
    spec: { model: 'there', input: { uri: 'gs://applications/march.csv' }, ...spec },
  };
}

const wrongFeatures = { features: [feature('AGE'), feature('SEX'), feature('age')] };
const wrongFeature =
  'spec.features[2].name: must differ in more than case from "AGE" (spec.features[0]): BigQuery takes both for one column';
const path = '/apis/riskmodel.io/v1alpha1/namespaces/risk/riskmodels';

function apply(object: object, ...args: string[]): Promise<string> {
  return plane.kubectl.run(['apply', '-f', '-', ...args], { input: JSON.stringify(object) });
}

/** Waits for the API server to ask the webhook. */
async function untilAsked(): Promise<void> {
  await eventually(async () => {
    const { status } = await plane.api.send('POST', `${path}?dryRun=All`, model('probe', wrongFeatures));
    expect(status).toBe(422);
  });
}

describe('with a webhook', () => {
  beforeAll(async () => {
    await configure(cluster, await (await startReplica()).port());
    await untilAsked();
    await apply(model('there'));
  });

  afterAll(stopReplicas);

  const schedule = { name: 's', cron: '0 3 * * *', input: 'gs://risk-input/x.json' };
  const outOfBucket = 'must not have "." or ".." as a part of its path: it would lead out of the bucket';
  const refused: [why: string, object: object, ...problems: string[]][] = [
    ['features that differ in case alone', model('m', wrongFeatures), wrongFeature],
    ...['Mars/Olympus', '+01:00', 'Berlin'].map((timeZone): [string, object, string] => [
      `a schedule in ${timeZone}`,
      model('m', { batch: { schedules: [{ ...schedule, timeZone }] } }),
      `spec.batch.schedules[0].timeZone: must be an IANA time zone such as Europe/Berlin, not "${timeZone}"`,
    ]),
    [
      'a schedule that no clock keeps',
      model('m', { batch: { schedules: [{ ...schedule, cron: '99 3 * * *' }] } }),
      'spec.batch.schedules[0].cron: can\'t be read as a cron expression: "99 3 * * *": Constraint error, got value 99 expected range 0-59',
    ],
    [
      'several mistakes',
      model('m', { ...wrongFeatures, batch: { schedules: [{ ...schedule, timeZone: 'Berlin' }] } }),
      wrongFeature,
      'spec.batch.schedules[0].timeZone: must be an IANA time zone such as Europe/Berlin, not "Berlin"',
    ],
    [
      'an artifact outside of its bucket',
      model('m', { artifact: { ...artifact, uri: 'gs://risk-models/../model.onnx' } }),
      `spec.artifact.uri: ${outOfBucket}`,
    ],
    [
      'a batch of a file outside',
      batch('b', { input: { uri: 'gs://in-put/a/../../x.csv' } }),
      `spec.input.uri: ${outOfBucket}`,
    ],
  ];

  test.each(refused)('%s: refused, with a cause for each field', async (_why, object, ...problems) => {
    const { kind } = object as { kind: string };
    const { status, body } = await plane.api.send('POST', path.replace('riskmodels', `${kind.toLowerCase()}s`), object);
    expect([status, body]).toMatchObject([
      422,
      {
        reason: 'Invalid',
        message: `admission webhook "validate.riskmodel.io" denied the request: ${problems.join('; ')}`,
        details: { kind, causes: problems.map((problem) => ({ field: problem.slice(0, problem.indexOf(': ')) })) },
      },
    ]);
  });

  test('kubectl says why, also to a dry run', async () => {
    for (const args of [[], ['--dry-run=server']]) {
      await expect(apply(model('m', wrongFeatures), ...args)).rejects.toThrow(wrongFeature);
    }
  });

  test.each(validationCases.filter(({ problems }) => problems.length === 0))(
    'when $name: let through',
    async ({ manifest }) => {
      const { status, body } = await plane.api.send('POST', `${path}?dryRun=All`, manifest);
      expect([status, body['message']]).toEqual([201, undefined]);
    },
  );

  test.each(batchCases.filter(({ problems }) => problems.length === 0))(
    'when $name: let through, as a batch',
    async ({ manifest }) => {
      const { status, body } = await plane.api.send(
        'POST',
        `${path.replace('riskmodels', 'batchpredictions')}?dryRun=All`,
        manifest,
      );
      expect([status, body['message']]).toEqual([201, undefined]);
    },
  );

  test.each<[why: string, object, warning: string]>([
    [
      'no checksum',
      model('m', { artifact: { ...artifact, sha256: undefined } }),
      'spec.artifact.sha256 is not set: a file that is overwritten would be served without anybody noticing',
    ],
    [
      'one pod',
      model('m', { online: { replicas: { min: 1 } } }),
      'spec.online.replicas.min is 1: with one pod, a node that goes takes the service down until another one is ready',
    ],
    ['no model', batch('b', { model: 'absent' }), 'spec.model: there is no RiskModel "absent" in namespace risk yet'],
  ])('kubectl warns of %s', async (_why, object, warning) => {
    await expect(apply(object, '--dry-run=server', '--warnings-as-errors')).rejects.toThrow(`Warning: ${warning}`);
  });

  test('there is no warning of what is as it should be', async () => {
    await apply(model('m'), '--dry-run=server', '--warnings-as-errors');
    await apply(batch('b'), '--dry-run=server', '--warnings-as-errors');
  });

  test('an update of the largest model is looked at too', async () => {
    const features = Array.from({ length: 1_999 }, (_, index) => feature(`F${index}`));
    await apply(model('large', { features }), '--server-side');
    const wrong = model('large', { features: [...features, feature('f0')] });
    await expect(apply(wrong, '--server-side')).rejects.toThrow('spec.features[1999].name: must differ');
    await apply(model('large', { features: [...features, feature('G')] }), '--server-side');
  });

  test('a bundle that somebody takes away is back within seconds', async () => {
    const patch = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    await plane.kubectl.run([
      'patch',
      `validatingwebhookconfiguration/${webhookName}`,
      '--type=json',
      '-p',
      JSON.stringify(patch),
    ]);
    await untilAsked();
  });
});

describe.each(['Ignore', 'Fail'])('a webhook that is away, with failurePolicy %s,', (failurePolicy) => {
  const name = `m-${failurePolicy.toLowerCase()}`;

  beforeAll(async () => {
    const replica = await startReplica();
    const port = await replica.port();
    // What was stored before there was a webhook, and would be refused by it now.
    await plane.kubectl.run(['delete', 'validatingwebhookconfiguration', webhookName, '--ignore-not-found']);
    await eventually(async () => void (await apply(model(name, wrongFeatures))));
    await plane.kubectl.run([
      '-n',
      'risk',
      'patch',
      'rmodel',
      name,
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":["riskmodel.io/x"]}}',
    ]);
    await configure(cluster, port, failurePolicy);
    await untilAsked();
    await stopReplicas();
  });

  test('lets status, labels and scale through', async () => {
    await plane.api.call(
      'PATCH',
      `${path}/${name}/status`,
      { status: { revision: 'r1' } },
      'application/merge-patch+json',
    );
    await plane.kubectl.run(['-n', 'risk', 'label', 'rmodel', name, 'team=risk']);
  });

  test('lets a deletion, and the finalizer that stands against it, through', async () => {
    await plane.kubectl.run(['-n', 'risk', 'delete', 'rmodel', name, '--wait=false']);
    await plane.kubectl.run([
      '-n',
      'risk',
      'patch',
      'rmodel',
      name,
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    ]);
    expect(await plane.kubectl.run(['-n', 'risk', 'get', 'rmodel', name, '--ignore-not-found'])).toBe('');
  });

  test(
    failurePolicy === 'Ignore' ? 'lets everything through' : 'lets no spec through that nobody looked at',
    async () => {
      const { status, body } = await plane.api.send('POST', `${path}?dryRun=All`, model('m', wrongFeatures));
      if (failurePolicy === 'Ignore') expect(status).toBe(201);
      else expect([status, body['message']]).toEqual([500, expect.stringContaining('failed calling webhook')]);
    },
  );
});

describe('certificates', () => {
  afterEach(stopReplicas);

  test('two replicas that start at once agree on one', async () => {
    await emptySecret();
    await configure(cluster, 1);
    const both = await Promise.all([startReplica(), startReplica()]);
    const ports = await Promise.all(both.map((replica) => replica.port()));
    const ca = await bundle();
    expect(ca.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    const fingerprints = await Promise.all(ports.map((port) => fingerprintAt(port, ca)));
    expect(fingerprints[0]).toBe(fingerprints[1]);
  });

  test('change under load, with no request that fails', async () => {
    await emptySecret();
    // Each is told of for longer than it takes to read of it and to connect, and replaced as long before it expires.
    const times = { lifeMs: 24_000, settleMs: 4_000 };
    const both = [await startReplica({ times }), await startReplica({ times })];
    const ports = await Promise.all(both.map((replica) => replica.port()));
    const balancer = await balance(ports);
    await configure(cluster, balancer.port, 'Fail');
    await untilAsked();
    const started = Date.now();
    const seen = new Set<string>();
    const failures: string[] = [];
    let answers = 0;
    let handshakes = 0;
    const isOver = (): boolean => Date.now() > started + (seen.size >= 3 ? 34_000 : 90_000);
    const ask = async (): Promise<void> => {
      while (!isOver()) {
        const { status, body } = await plane.api.send('POST', `${path}?dryRun=All`, model('m', wrongFeatures));
        answers++;
        if (status !== 422) failures.push(`${status} ${String(body['message'])}`);
      }
    };
    // The API server keeps connections; whoever connects anew sees every change of the certificate.
    const shake = async (port: number): Promise<void> => {
      while (!isOver()) {
        const ca = await bundle();
        try {
          seen.add(await fingerprintAt(port, ca));
        } catch (error) {
          failures.push(String(error));
        }
        handshakes++;
        await sleep(50);
      }
    };
    await Promise.all([ask(), ask(), ...ports.map((port) => shake(port))]);
    balancer.server.close();
    expect(failures).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(3);
    printFigure(
      `webhook: ${answers} requests and ${handshakes} handshakes over ${seen.size} certificates, none failed`,
    );
  });
});

describe('an upgrade with Helm', () => {
  afterEach(stopReplicas);

  test('leaves certificate and bundle as the operator made them', async () => {
    const release = { name: 'up', namespace: 'upgrades' };
    const args = ['up', chartFolder, '--namespace', release.namespace];
    // The CRDs are another release's, and its webhook looks at no namespace there is.
    const values = ['--set', 'crds.install=false', '--set', 'webhook.namespaceSelector.matchLabels.is=absent'];
    await cluster.helm.run(['install', ...args, ...values, '--create-namespace']);
    const replica = await startReplica({}, release);
    await replica.port();
    await stopReplicas();
    const written = async (): Promise<unknown> => {
      const name = `${release.name}-risk-model-webhook`;
      const secret = await plane.kubectl.json(['-n', release.namespace, 'get', `secret/${name}-certificate`]);
      const { webhooks } = await plane.kubectl.json(['get', `validatingwebhookconfiguration/${name}`]);
      return [secret['data'], webhooks];
    };
    const before = await written();
    expect(before).toMatchObject([
      { 'tls.crt': expect.any(String) },
      [{ clientConfig: { caBundle: expect.any(String) } }],
    ]);
    await cluster.helm.run(['upgrade', ...args, ...values, '--set', 'operator.replicas=3']);
    expect(await written()).toEqual(before);
    await cluster.helm.run(['uninstall', 'up', '--namespace', release.namespace]);
    const left = ['get', 'secret,validatingwebhookconfiguration', '--all-namespaces', '-o', 'name'];
    expect(await plane.kubectl.run(left)).not.toContain('/up-risk-model-webhook');
  });
});

describe('the operator’s own program', () => {
  let programs: OperatorProgram[] = [];

  afterEach(async () => {
    await Promise.all(programs.map((program) => program.kill()));
    programs = [];
  });

  test('serves it from every replica, under the name of the Service, and ends when it is told to', async () => {
    await emptySecret();
    await plane.kubectl.run(['delete', 'validatingwebhookconfiguration', webhookName, '--ignore-not-found']);
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: `${releaseNamespace}/rm-risk-model-operator` });
    const ports = [await freePort(), await freePort()];
    await configureService(cluster, ports[0] as number);
    programs = await Promise.all(
      ports.map((port, index) =>
        OperatorProgram.start(kubeconfig, `operator-${index}`, {
          POD_NAMESPACE: releaseNamespace,
          RISKMODEL_WEBHOOK_PORT: String(port),
          RISKMODEL_WEBHOOK_SERVICE: webhookName,
          RISKMODEL_WEBHOOK_SECRET: `${webhookName}-certificate`,
          RISKMODEL_WEBHOOK_CONFIGURATION: webhookName,
        }),
      ),
    );
    for (const [index, program] of programs.entries()) {
      await configureService(cluster, ports[index] as number);
      // For a moment the API server goes on asking the one before.
      await eventually(async () => {
        await untilAsked();
        expect(await program.metric('controller_runtime_webhook_requests_total', { code: '200' })).toBeGreaterThan(0);
      }, 60_000);
    }
    for (const [index, program] of programs.entries()) expect([index, await program.stop()]).toEqual([index, 0]);
  });

  test('is not ready before its webhook answers', async () => {
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: `${releaseNamespace}/rm-risk-model-operator` });
    const folder = await mkdtemp(join(tmpdir(), 'riskmodel-webhook-'));
    const program = await OperatorProgram.start(kubeconfig, 'operator-0', {
      RISKMODEL_WEBHOOK_PORT: String(await freePort()),
      RISKMODEL_WEBHOOK_CERTIFICATE_FOLDER: folder,
    });
    programs = [program];
    const probe = async (): Promise<[number, string]> => {
      const response = await fetch(`${program.url}/readyz`);
      return [response.status, await response.text()];
    };
    await eventually(async () => expect((await probe())[1]).toContain('[+]caches ok'), 60_000);
    expect(await probe()).toEqual([503, expect.stringContaining('[-]webhook: waiting for a certificate')]);
    const { cert, key } = await plane.ca.issueServer('webhook', ['localhost']);
    await Promise.all([writeFile(join(folder, 'tls.key'), key), writeFile(join(folder, 'tls.crt'), cert)]);
    await eventually(async () => expect((await probe())[0]).toBe(200));
    await rm(folder, { recursive: true });
  });
});

/** As the chart makes it. */
async function emptySecret(): Promise<void> {
  const secret = `/api/v1/namespaces/${releaseNamespace}/secrets/${webhookName}-certificate`;
  await plane.api.call('PATCH', secret, { data: null }, 'application/merge-patch+json');
}

/** Whom the API server trusts at this moment, PEM. */
async function bundle(): Promise<string> {
  const { webhooks } = await plane.kubectl.json<{ webhooks: { clientConfig: { caBundle?: string } }[] }>([
    'get',
    `validatingwebhookconfiguration/${webhookName}`,
  ]);
  return Buffer.from(webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
}

/** The certificate that is served at a port to somebody who trusts the bundle. @throws Error when it isn't trusted */
async function fingerprintAt(port: number, ca: string): Promise<string> {
  const socket: TLSSocket = connectTls({ host: 'localhost', port, ca, servername: 'localhost' });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate()?.fingerprint256 ?? '';
  } finally {
    socket.destroy();
  }
}

/** Sends connections to the ports in turn, as a Service does. */
async function balance(ports: number[]): Promise<{ server: Server; port: number }> {
  let next = 0;
  const server = createServer((incoming) => {
    const outgoing = connect(ports[next++ % ports.length] as number, 'localhost');
    incoming.pipe(outgoing).pipe(incoming);
    incoming.on('error', () => outgoing.destroy());
    outgoing.on('error', () => incoming.destroy());
  });
  server.listen(0);
  await once(server, 'listening');
  return { server, port: (server.address() as { port: number }).port };
}
