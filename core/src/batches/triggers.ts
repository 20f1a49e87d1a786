// `spec.batch.triggers`: a bucket's notification that an object is there starts a batch of each model that it is for.
import { RiskModelError } from '../errors.ts';
import type { BatchTrigger, RiskModelSpec } from '../riskmodel/zz_generated.riskmodel.ts';
import type { Batch } from './batch.ts';
import { submitBatch, type SubmitDeps } from './queue.ts';

/** A version of an object that a bucket has told about. */
export interface FinalizedObject {
  bucket: string;
  path: string;
  /** Cloud Storage's number of this version. */
  generation: string;
}

/**
 * Reads a notification of Cloud Storage by its Pub/Sub attributes.
 * https://cloud.google.com/storage/docs/pubsub-notifications#attributes
 *
 * @returns undefined for an event that brings no new content, such as a deletion
 * @throws RiskModelError `InvalidNotification` when it is not one of Cloud Storage's
 */
export function readNotification(attributes: Readonly<Record<string, string>>): FinalizedObject | undefined {
  const { eventType, bucketId, objectId, objectGeneration } = attributes;
  if (eventType === undefined) throw invalid('eventType');
  if (eventType !== 'OBJECT_FINALIZE') return undefined;
  if (!bucketId) throw invalid('bucketId');
  if (!objectId) throw invalid('objectId');
  if (objectGeneration === undefined || !/^\d+$/.test(objectGeneration)) throw invalid('objectGeneration');
  return { bucket: bucketId, path: objectId, generation: objectGeneration };
}

function invalid(attribute: string): RiskModelError {
  return new RiskModelError(
    'InvalidNotification',
    `the message is no notification of Cloud Storage: its attribute ${attribute} is missing or malformed; give this subscription's topic nothing but notifications of buckets`,
  );
}

/** Which objects start a model's batches. */
export interface TriggerRules {
  triggers: readonly BatchTrigger[];
  /** Where the model's own result files go, which never start another batch. */
  outputUri?: string;
}

export function triggerRulesOf({ batch }: Pick<RiskModelSpec, 'batch'>): TriggerRules {
  const { triggers, output } = batch;
  return { triggers, ...(output.uri === undefined ? {} : { outputUri: output.uri }) };
}

/** Whether an object starts a batch: one of the triggers is for it, and no batch has written it. */
export function isTriggeredBy({ triggers, outputUri }: TriggerRules, object: FinalizedObject): boolean {
  return !isInside(outputUri, object) && triggers.some((trigger) => matchesTrigger(trigger, object));
}

/** Whether an object lies in a folder (`gs://BUCKET` or `gs://BUCKET/FOLDER`). */
export function isInside(folder: string | undefined, object: FinalizedObject): boolean {
  return folder !== undefined && uriOf(object).startsWith(`${folder.replace(/\/+$/, '')}/`);
}

/** Whether all that a trigger says holds of an object. Folders' placeholders are no files. */
export function matchesTrigger({ bucket, prefix, suffix }: BatchTrigger, object: FinalizedObject): boolean {
  return (
    !object.path.endsWith('/') &&
    (bucket === undefined || bucket === object.bucket) &&
    (prefix === undefined || object.path.startsWith(prefix)) &&
    (suffix === undefined || object.path.endsWith(suffix))
  );
}

/** The object's address. */
export function uriOf({ bucket, path }: FinalizedObject): string {
  return `gs://${bucket}/${path}`;
}

/**
 * Starts a model's batch of an object. Told of the same version again, it starts nothing: an object version is one batch
 * of a model, however often, and in which order, notifications come.
 */
export function startTriggeredBatch(model: string, object: FinalizedObject, deps: SubmitDeps): Promise<Batch> {
  const input = uriOf(object);
  const { generation } = object;
  return submitBatch({ model, input, generation, idempotencyKey: `trigger/${input}#${generation}` }, deps);
}
