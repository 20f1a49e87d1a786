import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { convertModel } from '../core/src/model/convert/convert.ts';
import { openSession, type Session } from '../core/src/model/session.ts';
import { generateApplicants } from '../examples/credit-default/generate.ts';
import { exampleFolder, readExample } from '../scripts/example.ts';

/** What is measured on: a model, and applicants with the answers that the model has for them. */
export interface Workbench {
  /** The model as ONNX, and the names of its features, in order. */
  artifact: string;
  /** The same as XGBoost keeps it; empty unless it was trained for this run. */
  xgboostModel: string;
  features: string[];
  /** The manifest's file, without a prediction cache: what is measured is scoring. */
  manifest: string;
  /** The same with the example's prediction cache. */
  cachingManifest: string;
  dataDir: string;
  redisUrl: string;
  applicants: Applicant[];
}

/** One that is asked about. */
export interface Applicant {
  /** Its features, in order. */
  values: number[];
  /** prob_0 and prob_1 as the model gives them. */
  probabilities: [number, number];
}

const distinctApplicants = 512;
const trainingRows = 50_000;

export interface WorkbenchOptions {
  folder: string;
  redisUrl: string;
  /** Trains a model with XGBoost, by this Python, instead of taking the example's. */
  train?: { python: string; trees: number; depth: number };
}

/** Writes manifests for the model, and asks the model about applicants. */
export async function prepareWorkbench({ folder, redisUrl, train }: WorkbenchOptions): Promise<Workbench> {
  const example = await readExample();
  const features = example.spec.features.map(({ name }) => name);
  const xgboostModel = train === undefined ? '' : await trainModel(folder, train);
  const artifact = train === undefined ? join(exampleFolder, 'model.onnx') : await convert(xgboostModel, folder);
  const { sha256: _, ...declared } = example.spec.artifact;
  const { cache, ...online } = example.spec.online;
  const write = async (name: string, caching: object): Promise<string> => {
    const spec = { ...example.spec, artifact: { ...declared, uri: artifact }, online: { ...online, ...caching } };
    const file = join(folder, name);
    await writeFile(file, stringify({ ...example, spec }));
    return file;
  };
  const manifest = await write('riskmodel.yaml', {});
  const cachingManifest = await write('caching.yaml', { cache });
  const session = await openSession(await readFile(artifact), features.length);
  const applicants = await askAbout(session, features, join(folder, 'applicants.ndjson'));
  await session.release();
  return { artifact, xgboostModel, features, manifest, cachingManifest, dataDir: folder, redisUrl, applicants };
}

async function trainModel(
  folder: string,
  { python, trees, depth }: NonNullable<WorkbenchOptions['train']>,
): Promise<string> {
  const csv = join(folder, 'training.csv');
  await generateApplicants({ rows: trainingRows, seed: 1, out: csv, withTarget: true });
  const model = join(folder, 'model.json');
  const script = join(import.meta.dirname, 'peers', 'train.py');
  await promisify(execFile)(python, [script, csv, model, String(trees), String(depth)]);
  return model;
}

async function convert(model: string, folder: string): Promise<string> {
  const artifact = join(folder, 'model.onnx');
  await writeFile(artifact, convertModel(await readFile(model)).onnx);
  return artifact;
}

async function askAbout(session: Session, features: readonly string[], file: string): Promise<Applicant[]> {
  await generateApplicants({ rows: distinctApplicants, seed: 11, out: file });
  const applicants: Applicant[] = [];
  for (const line of (await readFile(file, 'utf8')).trimEnd().split('\n')) {
    const record = JSON.parse(line) as Record<string, number>;
    const values = features.map((name) => record[name] as number);
    const [zero, one] = await session.run(Float32Array.from(values), 1);
    applicants.push({ values, probabilities: [zero as number, one as number] });
  }
  return applicants;
}
