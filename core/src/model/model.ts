import { RiskModelError } from '../errors.ts';
import type { RiskModel } from '../riskmodel/zz_generated.riskmodel.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { fetchArtifact } from './artifact.ts';
import { FeatureEncoder } from './features.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

/** A manifest's model, loaded and warmed up: what online and batch both score with. */
export interface Model {
  readonly name: string;
  /** `spec.artifact.version`, or the first 12 digits of the sha256 when the manifest gives none. */
  readonly version: string;
  /** Hex digest of the artifact as it was published. */
  readonly sha256: string;
  readonly manifest: RiskModel;
  readonly encoder: FeatureEncoder;
  readonly session: Session;
}

/**
 * Loads the model that a manifest describes.
 *
 * @throws RiskModelError with the codes of `fetchArtifact` and `openSession`
 */
export async function loadModel(manifest: RiskModel, store: ObjectStore, options: SessionOptions = {}): Promise<Model> {
  const { artifact, features } = manifest.spec;
  if (artifact.format !== 'ONNX') {
    throw new RiskModelError(
      'UnsupportedFormat',
      `spec.artifact.format: ${artifact.format} is not served yet: convert the model to ONNX and set format: ONNX`,
    );
  }
  const { bytes, sha256 } = await fetchArtifact(artifact, store);
  const encoder = new FeatureEncoder(features);
  const session = await openSession(bytes, encoder.width, options);
  return {
    name: manifest.metadata.name,
    version: artifact.version ?? sha256.slice(0, 12),
    sha256,
    manifest,
    encoder,
    session,
  };
}

/** 1 when the second probability is above the manifest's threshold, else 0. */
export function decide(prob1: number, threshold: number): 0 | 1 {
  return prob1 > threshold ? 1 : 0;
}
