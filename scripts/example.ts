// What `npm run demo` and `npm start` share: the example's manifest, and a data folder that has its model and a sample
// in buckets, as they would be in the cloud.
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RiskModel } from '../core/src/riskmodel/zz_generated.riskmodel.ts';
import { readManifests } from '../core/src/riskmodel/manifest-files.ts';
import { FolderStore } from '../core/src/storage/folder.ts';
import { generateApplicants } from '../examples/credit-default/generate.ts';

export const root = join(import.meta.dirname, '..');
export const exampleFolder = join(root, 'examples', 'credit-default');
export const exampleManifest = join(exampleFolder, 'riskmodel.yaml');

export const sample = { uri: 'gs://applications/sample.parquet', rows: 20_000, seed: 7 };

/** Somebody who is two months late with paying. */
export const applicant = {
  LIMIT_BAL: 50_000,
  SEX: 2,
  EDUCATION: 2,
  MARRIAGE: 1,
  AGE: 34,
  PAY_0: 2,
  PAY_2: 2,
  PAY_3: 0,
  PAY_4: 0,
  PAY_5: 0,
  PAY_6: 0,
  BILL_AMT1: 48_210,
  BILL_AMT2: 47_105,
  BILL_AMT3: 46_990,
  BILL_AMT4: 45_120,
  BILL_AMT5: 44_310,
  BILL_AMT6: 43_870,
  PAY_AMT1: 0,
  PAY_AMT2: 2_000,
  PAY_AMT3: 3_100,
  PAY_AMT4: 1_800,
  PAY_AMT5: 1_500,
  PAY_AMT6: 1_500,
};

/** The example's model as its manifest declares it. */
export async function readExample(): Promise<RiskModel> {
  const [model] = await readManifests([exampleManifest]);
  return model as RiskModel;
}

/** "Uploads" the model file to the place that the manifest names, and returns the path. */
export async function uploadModel(model: RiskModel, dataDir: string): Promise<string> {
  const path = new FolderStore(join(dataDir, 'buckets')).pathOf(model.spec.artifact.uri);
  await mkdir(dirname(path), { recursive: true });
  // A server that is reading the file goes on reading the one it opened.
  const copy = `${path}.${process.pid}.tmp`;
  await copyFile(join(exampleFolder, 'model.onnx'), copy);
  await rename(copy, path);
  return path;
}

/** Writes the sample of applicants, the same each time, into its bucket. */
export async function writeSample(dataDir: string): Promise<void> {
  const out = new FolderStore(join(dataDir, 'buckets')).pathOf(sample.uri);
  await generateApplicants({ rows: sample.rows, seed: sample.seed, out, withTarget: true });
}
