import { apiKeyLine, callerName, hashApiKey, makeApiKey, parseRoles, roles } from '@riskmodel/core/access/api-key.ts';
import { InvalidArgumentError, type Command } from 'commander';
import { UsageError } from '../errors.ts';
import { outputOption, type OutputFormat } from '../options.ts';
import { printJson, printLine, type Terminal } from '../terminal.ts';

interface CreateOptions {
  name: string;
  roles?: string;
  output: OutputFormat;
}

/** `riskmodel key create`: a key for a caller, which is shown once, and the line by which a server knows it. */
export function addKey(program: Command, terminal: Terminal): void {
  const key = program
    .command('key')
    .description('Make API keys for those who may call a server.')
    .helpCommand(false)
    .addHelpText('after', '\nExample:\n  riskmodel key create --name web');

  key
    .command('create')
    .description('Make a key, and the line for RISKMODEL_API_KEYS_FILE by which a server knows it.')
    .requiredOption('--name <name>', 'who will call with it, as logs will say', name)
    .option('--roles <roles>', `what they may do, of ${roles.join(', ')} (default: both)`)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  riskmodel key create --name web
  riskmodel key create --name nightly --roles batch -o json

The key is shown here and nowhere else: nothing keeps it. The server is given the hash alone.`,
    )
    .action((options: CreateOptions) => create(options, terminal));
}

function create({ name, roles: words, output }: CreateOptions, { stdout }: Terminal): void {
  const granted = words === undefined ? [...roles] : parseRoles(words);
  if (granted === undefined) throw new UsageError(`--roles: must be ${roles.join(', ')} or both with a comma`);
  const key = makeApiKey();
  const line = apiKeyLine(name, key, granted);
  if (output === 'json') {
    printJson(stdout, { name, key, sha256: hashApiKey(key).toString('hex'), roles: granted, line });
    return;
  }
  printLine(stdout, `key   ${key}`);
  printLine(stdout, `line  ${line}`);
}

function name(text: string): string {
  if (callerName.test(text)) return text;
  throw new InvalidArgumentError('It must be 1 to 63 letters, digits and _.@-, beginning with a letter or digit.');
}
