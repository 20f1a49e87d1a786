import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LocalSystem } from './local-system.ts';

/** Something to try the first model with. */
export interface Examples {
  /** Path of a JSON file with one applicant. */
  applicant: string;
  /** URI of a file in a bucket. */
  input: string;
}

const bucket = 'riskmodel-examples';

/**
 * Writes the made-up applicant that the API pages of the first model show into a bucket of its own, so that there is
 * something to predict and to score from the start.
 */
export async function writeExamples({ url, dataDir, models }: LocalSystem): Promise<Examples> {
  const name = models[0]?.metadata.name as string;
  const instances = await exampleInstances(url, name);
  const applicant = join(dataDir, 'buckets', bucket, `${name}.json`);
  await mkdir(dirname(applicant), { recursive: true });
  await writeFile(applicant, `${JSON.stringify(instances)}\n`);
  return { applicant, input: `gs://${bucket}/${name}.json` };
}

/** What the server's own description of its API gives as an example. */
async function exampleInstances(url: string, model: string): Promise<unknown[]> {
  const response = await fetch(`${url}/openapi.json`);
  const { paths } = (await response.json()) as { paths: Record<string, { post?: PredictOperation }> };
  return paths[`/v1/models/${model}:predict`]?.post?.requestBody?.content['application/json']?.example?.instances ?? [];
}

interface PredictOperation {
  requestBody?: { content: Record<string, { example?: { instances?: unknown[] } } | undefined> };
}
