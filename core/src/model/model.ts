import { RiskModelError } from '../errors.ts';
import type { ArtifactFormat, RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { fetchArtifact } from './artifact.ts';
import { convertModel } from './convert/convert.ts';
import { FeatureEncoder } from './features.ts';
import type { OpenSession, Session } from './session.ts';

/** A manifest's model, loaded and warmed up: what online and batch both score with. */
export interface Model {
  readonly name: string;
  /** `spec.artifact.version`, or the first 12 digits of the sha256 when the manifest gives none. */
  readonly version: string;
  /** Hex digest of the artifact as it was published. */
  readonly sha256: string;
  /** The artifact's generation, when it came from an object store. */
  readonly generation?: string;
  readonly manifest: RiskModel;
  readonly encoder: FeatureEncoder;
  readonly session: Session;
}

/**
 * Loads the model that a manifest describes.
 *
 * @param open `openSession`, or that of a `SessionThread`
 * @throws RiskModelError with the codes of `fetchArtifact`, `convertModel` and `openSession`; `FeatureNameMismatch`
 */
export async function loadModel(manifest: RiskModel, store: ObjectStore, open: OpenSession): Promise<Model> {
  const { artifact, features } = manifest.spec;
  const { bytes, sha256, generation } = await fetchArtifact(artifact, store);
  const encoder = new FeatureEncoder(features);
  const session = await open(toOnnx(bytes, artifact.format, encoder.names), encoder.width);
  return {
    name: manifest.metadata.name,
    version: artifact.version ?? sha256.slice(0, 12),
    sha256,
    ...(generation !== undefined && { generation }),
    manifest,
    encoder,
    session,
  };
}

function toOnnx(bytes: Uint8Array, format: ArtifactFormat, names: readonly string[]): Uint8Array {
  if (format === 'ONNX') return bytes;
  const { onnx, featureNames } = convertModel(bytes, format);
  // Another number of features is told by the session, as for any model.
  if (featureNames?.length === names.length) checkNames(featureNames, names);
  return onnx;
}

/** Columns in another order than the model's would be scored without any error. ONNX files have no names to compare. */
function checkNames(columns: readonly string[], names: readonly string[]): void {
  for (const [index, column] of columns.entries()) {
    // A manifest's names are of letters, digits and `_`; what else there is in a column's name counts as `_`.
    if (column.replaceAll(/[^A-Za-z0-9_]/g, '_') === names[index]) continue;
    throw new RiskModelError(
      'FeatureNameMismatch',
      `spec.features[${index}].name is "${names[index]}", but the model's column ${index + 1} is ${JSON.stringify(column)}: list the model's columns, in its order and by its names`,
    );
  }
}

/** 1 when the second probability is above the manifest's threshold, else 0. */
export function decide(prob1: number, threshold: number): 0 | 1 {
  return prob1 > threshold ? 1 : 0;
}
