import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const example = join(import.meta.dirname, '..', '..', 'examples', 'credit-default');

/** A manifest as its file says it, before defaults. */
export interface Manifest {
  metadata: { name: string };
  spec: {
    artifact: { uri: string; format: string; sha256?: string; version?: string };
    batch?: Record<string, unknown>;
    [field: string]: unknown;
  };
}

/** The example's manifest with the model file beside it; `batch` is merged into `spec.batch`. */
export function exampleManifest(batch: Record<string, unknown> = {}): Manifest {
  return withArtifact(join(example, 'model.onnx'), batch);
}

/** The example's manifest for another model of the same features. */
export function withArtifact(file: string, batch: Record<string, unknown> = {}): Manifest {
  const manifest = parse(readFileSync(join(example, 'riskmodel.yaml'), 'utf8')) as Manifest;
  return {
    ...manifest,
    spec: {
      ...manifest.spec,
      artifact: { uri: file, format: 'ONNX', version: '1' },
      batch: { ...manifest.spec.batch, ...batch },
    },
  };
}
