import { describe, expect, test } from '@jest/globals';
import { validateRiskModel } from '@riskmodel/core/riskmodel/manifest.ts';
import { validationCases } from '@riskmodel/core/riskmodel/validation-cases.ts';
import type { KubeObject } from '../kube/object.ts';
import { parseReview, type AdmissionRequest } from './admission-review.ts';
import { reviewRequest } from './review-request.ts';

type Spec = Record<string, unknown>;

const feature = (name: string): Spec => ({ name, type: 'Number' });
const sha256 = 'ab'.repeat(32);
const artifact = { uri: 'gs://risk-models/model.onnx', format: 'ONNX', sha256 };

function model(spec: Spec = {}, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'RiskModel',
    metadata: { name: 'credit', namespace: 'risk', ...metadata },
    spec: { artifact, features: [feature('AGE')], ...spec },
  };
}

function batch(spec: Spec = {}): KubeObject {
  return {
    apiVersion: 'riskmodel.io/v1alpha1',
    kind: 'BatchPrediction',
    metadata: { name: 'march', namespace: 'risk' },
    spec: { model: 'credit', input: { uri: 'gs://applications/march.parquet' }, ...spec },
  };
}

/** Wrong in a way that only the webhook sees. */
const wrongSpec = { features: [feature('AGE'), feature('age')] };
const wrong = model(wrongSpec);

function request(object: KubeObject | null, rest: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: 'u-1',
    kind: { group: 'riskmodel.io', version: 'v1alpha1', kind: object?.kind ?? 'RiskModel' },
    name: 'credit',
    namespace: 'risk',
    operation: 'CREATE',
    object,
    oldObject: null,
    ...rest,
  };
}

const review = (asked: AdmissionRequest, models: string[] | undefined = ['risk/credit']): Promise<unknown> =>
  reviewRequest(asked, async (namespace, name) => models.includes(`${namespace}/${name}`));
const allowed = { uid: 'u-1', allowed: true };

describe('what is let through', () => {
  test.each<[why: string, AdmissionRequest]>([
    ['a model that is right', request(model())],
    ['a batch that is right', request(batch())],
    ['a deletion', request(null, { operation: 'DELETE', oldObject: wrong })],
    ['a status', request(wrong, { operation: 'UPDATE', subResource: 'status', oldObject: model() })],
    ['a scale', request(wrong, { operation: 'UPDATE', subResource: 'scale', oldObject: model() })],
    [
      'the finalizer of a model that is going',
      request(model(wrongSpec, { deletionTimestamp: '2026-01-01T00:00:00Z' }), { operation: 'UPDATE' }),
    ],
    [
      'a label on a model whose spec would be refused now, whatever the order of its fields',
      request(model(wrongSpec, { labels: { a: 'b' } }), {
        operation: 'UPDATE',
        oldObject: model(Object.fromEntries(Object.entries(wrong['spec'] as Spec).toReversed())),
      }),
    ],
    [
      'another kind',
      request(wrong, { kind: { group: 'other.io', version: 'v1', kind: 'RiskModel' }, operation: 'CREATE' }),
    ],
    ['an unknown kind of ours', request({ ...wrong, kind: 'Other' })],
  ])('%s', async (_why, asked) => {
    expect(await review(asked)).toEqual(allowed);
  });
});

describe('what is refused', () => {
  const message = 'must differ in more than case from "AGE" (spec.features[0]): BigQuery takes both for one column';

  test('a model, with the field of each cause', async () => {
    expect(await review(request(wrong))).toEqual({
      uid: 'u-1',
      allowed: false,
      status: {
        status: 'Failure',
        code: 422,
        reason: 'Invalid',
        message: `spec.features[1].name: ${message}`,
        details: {
          group: 'riskmodel.io',
          kind: 'RiskModel',
          name: 'credit',
          causes: [{ reason: 'FieldValueInvalid', field: 'spec.features[1].name', message }],
        },
      },
    });
  });

  test.each<[why: string, AdmissionRequest, string[]]>([
    [
      'an update that makes a model wrong',
      request(wrong, { operation: 'UPDATE', oldObject: model() }),
      [`spec.features[1].name: ${message}`],
    ],
    [
      'a dry run, as the real request would be',
      request(wrong, { dryRun: true }),
      [`spec.features[1].name: ${message}`],
    ],
    [
      'a model with several mistakes, all told at once',
      request(
        model({
          ...wrongSpec,
          batch: { schedules: [{ name: 's', cron: '0 3 * * *', input: 'gs://in-put/x', timeZone: 'Mars/Olympus' }] },
        }),
      ),
      [
        `spec.features[1].name: ${message}`,
        'spec.batch.schedules[0].timeZone: must be an IANA time zone such as Europe/Berlin, not "Mars/Olympus"',
      ],
    ],
    [
      'a model with URIs of buckets that can not be',
      request(
        model({
          artifact: { ...artifact, uri: 'gs://goog/x' },
          batch: {
            output: { uri: 'gs://1.2.3.4/' },
            schedules: [{ name: 's', cron: '0 3 * * *', input: 'gs://in-put/../x' }],
          },
        }),
      ),
      [
        'spec.artifact.uri: must not have a bucket\'s name that begins with "goog": "goog"',
        'spec.batch.output.uri: must not have an IP address for a bucket\'s name: "1.2.3.4"',
        'spec.batch.schedules[0].input: must not have "." or ".." as a part of its path: it would lead out of the bucket',
      ],
    ],
    [
      'a batch whose file lies outside of its bucket',
      request(batch({ input: { uri: 'gs://applications/../march.csv' } })),
      ['spec.input.uri: must not have "." or ".." as a part of its path: it would lead out of the bucket'],
    ],
  ])('%s', async (_why, asked, problems) => {
    expect(await review(asked)).toMatchObject({ allowed: false, status: { message: problems.join('; ') } });
  });

  test('an object that has yet to get its name', async () => {
    const { name: _, ...nameless } = request(wrong);
    expect(await review(nameless)).toMatchObject({ status: { details: { name: 'credit' } } });
  });

  test.each(validationCases.filter(({ problems }) => problems.length > 0))(
    'when $name, in the words of local validation',
    async ({ manifest, problems }) => {
      const asked = request({ ...manifest, kind: 'RiskModel' } as unknown as KubeObject);
      expect(validateRiskModel(manifest).problems).toHaveLength(problems.length);
      if (manifest.metadata === undefined) return;
      expect(await review(asked)).toMatchObject({ allowed: false, status: { message: problems.join('; ') } });
    },
  );
});

describe('what is warned of', () => {
  const noSha = 'spec.artifact.sha256 is not set: a file that is overwritten would be served without anybody noticing';
  const onePod =
    'spec.online.replicas.min is 1: with one pod, a node that goes takes the service down until another one is ready';
  const withoutSha = model({ artifact: { ...artifact, sha256: undefined } });

  test.each<[why: string, AdmissionRequest, string[] | undefined, string[]]>([
    ['a model without a checksum', request(withoutSha), undefined, [noSha]],
    ['one pod', request(model({ online: { replicas: { min: 1 } } })), undefined, [onePod]],
    [
      'both, when a spec changes',
      request(model({ artifact: { ...artifact, sha256: undefined }, online: { replicas: { min: 1, max: 2 } } }), {
        operation: 'UPDATE',
        oldObject: model(),
      }),
      undefined,
      [noSha, onePod],
    ],
    [
      'a batch without its model',
      request(batch()),
      [],
      ['spec.model: there is no RiskModel "credit" in namespace risk yet'],
    ],
  ])('%s', async (_why, asked, models, warnings) => {
    expect(await review(asked, models)).toEqual({ ...allowed, warnings });
  });

  test.each<[why: string, AdmissionRequest]>([
    ['a model without an identifier', request(model())],
    ['two pods', request(model({ online: { replicas: { min: 2 } } }))],
    ['a spec that stays', request(withoutSha, { operation: 'UPDATE', oldObject: withoutSha })],
  ])('but not %s', async (_why, asked) => {
    expect(await review(asked)).toEqual(allowed);
  });

  test('nor a batch while nobody knows which models there are', async () => {
    expect(await reviewRequest(request(batch()), async () => undefined)).toEqual(allowed);
  });
});

describe('a body that is no review', () => {
  test.each([
    ['null', /must be an AdmissionReview of admission\.k8s\.io\/v1, not undefined of undefined/],
    ['{', /JSON/],
    ['{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}', /not AdmissionReview of .*v1beta1/],
    ['{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}', /request\.uid: is required/],
  ])('%s', (body, message) => {
    expect(() => parseReview(body)).toThrow(message);
  });
});
