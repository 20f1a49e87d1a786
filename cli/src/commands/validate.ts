import type { Command } from 'commander';
import { ManifestError } from '@riskmodel/core/riskmodel/manifest.ts';
import { CommandError } from '../errors.ts';
import { checkManifests, type CheckedManifest } from '../manifests.ts';
import { outputOption, type OutputFormat } from '../options.ts';
import { printJson, printLine, type Terminal } from '../terminal.ts';

interface ValidateOptions {
  filename: string[];
  output: OutputFormat;
}

/** `riskmodel validate`: the cluster's checks, without a cluster. */
export function addValidate(program: Command, terminal: Terminal): void {
  program
    .command('validate')
    .description('Check manifests as the cluster would, and print every problem.')
    .requiredOption('-f, --filename <file...>', 'manifest files')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel validate -f riskmodel.yaml
  riskmodel validate -f models/*.yaml -o json`,
    )
    .action((options: ValidateOptions) => validate(options, terminal));
}

async function validate(options: ValidateOptions, { stdout, stderr }: Terminal): Promise<void> {
  const files = await checkManifests(options.filename);
  if (options.output === 'json') printJson(stdout, files.map(summary));
  for (const { file, models, problems } of options.output === 'json' ? [] : files) {
    if (problems.length > 0) printLine(stderr, new ManifestError(problems).message);
    else for (const { kind, metadata } of models) printLine(stdout, `${file}: ${kind} ${metadata.name} is valid`);
  }
  const invalid = files.filter(({ problems }) => problems.length > 0).map(({ file }) => file);
  if (invalid.length > 0) {
    throw new CommandError(`${invalid.join(', ')} ${invalid.length === 1 ? 'is' : 'are'} not valid`);
  }
}

function summary({ file, models, problems }: CheckedManifest): object {
  return {
    file,
    valid: problems.length === 0,
    models: models.map(({ metadata }) => metadata.name),
    problems,
  };
}
