import { isDeepStrictEqual } from 'node:util';
import type { Problem } from '@riskmodel/core/riskmodel/problem.ts';
import type { KubeObject } from '../kube/object.ts';
import type { AdmissionRequest, AdmissionResponse, Refusal } from './admission-review.ts';
import { findBatchPredictionProblems, findBatchPredictionWarnings, type HasModel } from './batchprediction-checks.ts';
import { findRiskModelProblems, findRiskModelWarnings } from './riskmodel-checks.ts';

const group = 'riskmodel.io';

interface KindChecks {
  findProblems: (object: KubeObject) => Problem[];
  findWarnings: (object: KubeObject, hasModel: HasModel) => string[] | Promise<string[]>;
}

/** The kinds that are looked at. */
const checksByKind: Record<string, KindChecks> = {
  RiskModel: { findProblems: findRiskModelProblems, findWarnings: findRiskModelWarnings },
  BatchPrediction: { findProblems: findBatchPredictionProblems, findWarnings: findBatchPredictionWarnings },
};

/** What is let through unseen, in this order, each with the reason. */
const passes: [reason: string, applies: (request: AdmissionRequest) => boolean][] = [
  ['only what is created or updated has a spec to look at', ({ operation }) => !isWrite(operation)],
  ['status and scale are written by programs, and hold nothing that is checked', ({ subResource }) => !!subResource],
  ['kinds that nobody knows are nothing of ours', ({ kind }) => kind.group !== group || !checksByKind[kind.kind]],
  ['an object that is going must be able to go', ({ object }) => object?.metadata.deletionTimestamp !== undefined],
  ['what a spec was allowed to be it may stay, so that labels and finalizers can change', keepsSpec],
];

/**
 * Decides about one request; nothing is read but the request and whether a batch's model is there. A dry run is answered as the
 * real request would be.
 */
export async function reviewRequest(request: AdmissionRequest, hasModel: HasModel): Promise<AdmissionResponse> {
  const { uid, kind, object } = request;
  const checks = checksByKind[kind.kind];
  if (!object || !checks || passes.some(([, applies]) => applies(request))) return { uid, allowed: true };
  const problems = checks.findProblems(object);
  if (problems.length > 0) return { uid, allowed: false, status: refuse(request, problems) };
  const warnings = await checks.findWarnings(withNamespace(object, request), hasModel);
  return { uid, allowed: true, ...(warnings.length > 0 ? { warnings } : {}) };
}

function isWrite(operation: AdmissionRequest['operation']): boolean {
  return operation === 'CREATE' || operation === 'UPDATE';
}

function keepsSpec({ operation, object, oldObject }: AdmissionRequest): boolean {
  return operation === 'UPDATE' && !!oldObject && isDeepStrictEqual(object?.['spec'], oldObject['spec']);
}

function withNamespace(object: KubeObject, { namespace }: AdmissionRequest): KubeObject {
  return namespace === undefined ? object : { ...object, metadata: { ...object.metadata, namespace } };
}

function refuse({ kind, name, object }: AdmissionRequest, problems: Problem[]): Refusal {
  return {
    status: 'Failure',
    code: 422,
    reason: 'Invalid',
    message: problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    details: {
      group: kind.group,
      kind: kind.kind,
      name: name || (object?.metadata.name ?? ''),
      causes: problems.map(({ path, message }) => ({ reason: 'FieldValueInvalid', message, field: path })),
    },
  };
}
