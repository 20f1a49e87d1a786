// `npm start`: the example served on this machine until Ctrl-C, with a sample in a bucket to score. Takes the options
// of `riskmodel up`, as in `npm start -- --port 9000`.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../cli/src/run.ts';
import { shortPath } from '../cli/src/short-path.ts';
import { applicant, exampleManifest, readExample, root, sample, uploadModel, writeSample } from './example.ts';
import { runScript } from './run-script.ts';

await runScript(async (terminal) => {
  const args = process.argv.slice(2);
  const { values } = parseArgs({ args, options: { data: { type: 'string' } }, strict: false });
  const dataDir = typeof values.data === 'string' ? values.data : join(root, '.riskmodel');
  await mkdir(dataDir, { recursive: true });
  await uploadModel(await readExample(), dataDir);
  await writeSample(dataDir);
  const applicantFile = join(dataDir, 'applicant.json');
  await writeFile(applicantFile, `${JSON.stringify(applicant, undefined, 2)}\n`);
  console.log(`A sample of ${sample.rows.toLocaleString('en')} applicants is ${sample.uri},`);
  console.log(`and one applicant is ${shortPath(applicantFile)}.\n`);
  const examples = { applicant: applicantFile, input: sample.uri };
  return run(['up', '--filename', exampleManifest, '--data', dataDir, ...args], terminal, examples);
});
