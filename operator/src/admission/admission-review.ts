// A validating webhook: what OpenAPI and CEL can't say of a RiskModel or a BatchPrediction is said here, before the
// object is stored. It is a convenience and no gate: the reconcilers look at everything again. This file holds the
// shapes that the API server sends and expects (admission.k8s.io/v1).
import type { KubeObject } from '../kube/object.ts';

export const reviewVersion = 'admission.k8s.io/v1';

/** What the API server asks. */
export interface AdmissionRequest {
  uid: string;
  kind: { group: string; version: string; kind: string };
  /** `status`, `scale`, ...; absent for the object itself. */
  subResource?: string;
  name?: string;
  namespace?: string;
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** The object as it would be stored, defaults included; null on DELETE. */
  object?: KubeObject | null;
  /** The object as it is stored; null on CREATE. */
  oldObject?: KubeObject | null;
  dryRun?: boolean;
}

/** One thing that is wrong, as `metav1.StatusCause`. */
export interface Cause {
  reason: 'FieldValueInvalid';
  message: string;
  field: string;
}

/** Why an object is refused, as `metav1.Status`. */
export interface Refusal {
  status: 'Failure';
  code: 422;
  reason: 'Invalid';
  message: string;
  details: { group: string; kind: string; name: string; causes: Cause[] };
}

/** What the API server is answered. */
export interface AdmissionResponse {
  uid: string;
  allowed: boolean;
  status?: Refusal;
  /** Shown to whoever sent the object, as kubectl does; at most 4096 bytes all together. */
  warnings?: string[];
}

export interface AdmissionReview {
  apiVersion: typeof reviewVersion;
  kind: 'AdmissionReview';
  request: AdmissionRequest;
}

/**
 * The request of a review.
 * @param body JSON as it was posted.
 * @throws Error when it is no AdmissionReview of this version.
 */
export function parseReview(body: string): AdmissionRequest {
  const review = JSON.parse(body) as Partial<AdmissionReview> | null;
  const { apiVersion, kind, request } = review ?? {};
  if (apiVersion !== reviewVersion || kind !== 'AdmissionReview') {
    throw new Error(`must be an AdmissionReview of ${reviewVersion}, not ${String(kind)} of ${String(apiVersion)}`);
  }
  if (typeof request?.uid !== 'string') throw new Error('request.uid: is required');
  return request;
}

/** The review that carries an answer. */
export function makeReview(response: AdmissionResponse): object {
  return { apiVersion: reviewVersion, kind: 'AdmissionReview', response };
}
