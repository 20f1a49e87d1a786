import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { RiskModelError, messageOf } from '@riskmodel/core/errors.ts';
import { convertModel, type ConvertedModel, type ConvertibleFormat } from '@riskmodel/core/model/convert/convert.ts';
import { openSession } from '@riskmodel/core/model/session.ts';
import { CommandError } from '../errors.ts';
import { outputOption, type OutputFormat } from '../options.ts';
import { printJson, printLine, type Terminal } from '../terminal.ts';

interface ConvertOptions {
  format: 'auto' | ConvertibleFormat;
  force?: true;
  output: OutputFormat;
}

/** `riskmodel convert`: what loading such a model does, ahead of time and with a look at what came out. */
export function addConvert(program: Command, terminal: Terminal): void {
  program
    .command('convert')
    .description('Convert an XGBoost (JSON, UBJSON) or LightGBM (text) classifier to ONNX.')
    .argument('<in>', 'the model file, as save_model() wrote it')
    .argument('<out>', 'the ONNX file to write')
    .addOption(
      new Option('--format <format>', 'the format of the model file; auto goes by its content')
        .choices(['auto', 'XGBoost', 'LightGBM'])
        .default('auto'),
    )
    .option('--force', 'overwrite the ONNX file when there is one')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel convert model.ubj model.onnx
  riskmodel convert model.txt model.onnx --force -o json

A manifest may also name the model file itself, with its format.`,
    )
    .action((input: string, output: string, options: ConvertOptions) => convert(input, output, options, terminal));
}

async function convert(input: string, output: string, options: ConvertOptions, { stdout }: Terminal): Promise<void> {
  const bytes = await readModel(input);
  if (options.force === undefined && (await stat(output).catch(() => undefined)) !== undefined) {
    throw new CommandError(`${output} is there already: use --force to overwrite it`);
  }
  const converted = await convertAndTry(input, bytes, options.format === 'auto' ? undefined : options.format);
  await write(output, converted.onnx);

  const { format, source, trees, unusedTrees, featureCount, featureNames, onnx } = converted;
  if (options.output === 'json') {
    printJson(stdout, {
      input,
      output,
      format,
      source,
      trees,
      unusedTrees,
      features: featureCount,
      featureNames: featureNames ?? null,
      bytes: onnx.length,
    });
    return;
  }
  const unused = unusedTrees === 0 ? '' : `, without the ${unusedTrees} after the best iteration`;
  printLine(stdout, `source    ${source}`);
  printLine(stdout, `trees     ${trees}${unused}`);
  printLine(stdout, `features  ${featureCount}${featureNames === undefined ? '' : `: ${featureNames.join(', ')}`}`);
  printLine(stdout, `written   ${output}, ${onnx.length.toLocaleString('en')} bytes`);
}

async function readModel(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CommandError(`${file}: there is no such file`, { cause });
    if (code === 'EISDIR') throw new CommandError(`${file}: is a folder, not a file`, { cause });
    throw new CommandError(`${file}: can't be read: ${messageOf(cause)}`, { cause });
  }
}

/** Loads the converted model as a server would, so that what is written works. */
async function convertAndTry(
  file: string,
  bytes: Uint8Array,
  format: ConvertibleFormat | undefined,
): Promise<ConvertedModel> {
  try {
    const converted = convertModel(bytes, format);
    const session = await openSession(converted.onnx, converted.featureCount);
    await session.release();
    return converted;
  } catch (cause) {
    if (cause instanceof RiskModelError) throw new CommandError(`${file}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** Under its name only when it is complete. */
async function write(file: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(unfinished, bytes);
    await rename(unfinished, file);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw new CommandError(`${file}: can't be written: ${messageOf(cause)}`, { cause });
  }
}
