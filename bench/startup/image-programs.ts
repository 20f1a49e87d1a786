import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const repository = join(import.meta.dirname, '..', '..');
const packages = ['core', 'server', 'queue-worker'];

function isProgram(path: string): boolean {
  return !/[/](?:node_modules|testing)$|[.]test[.]ts$/.test(path);
}

/** The programs as the image has them: JavaScript that the same script has made of the sources. */
export async function makeImagePrograms(folder: string): Promise<{ server: string; queueWorker: string }> {
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@riskmodel'), { recursive: true });
  for (const name of await readdir(join(repository, 'node_modules'))) {
    if (name !== '@riskmodel') await symlink(join(repository, 'node_modules', name), join(modules, name));
  }
  for (const name of packages) {
    await cp(join(repository, name), join(folder, name), { recursive: true, filter: isProgram });
    await symlink(join(folder, name), join(modules, '@riskmodel', name));
  }
  const script = join(repository, 'scripts', 'strip-types.ts');
  const folders = packages.map((name) => join(folder, name));
  await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...folders]);
  return { server: join(folder, 'server/src/main.js'), queueWorker: join(folder, 'queue-worker/src/main.js') };
}
