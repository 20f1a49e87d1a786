// Adds to package-lock.json the platform packages that npm left out of it, so that `npm ci` works: npm records only
// the optional packages that the registry at hand has, and then misses the others. To be run after `npm install`
// has changed the lock. The entries are inert: `os`, `cpu` and `libc` keep them from being installed elsewhere.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const systems = new Set([
  'android',
  'darwin',
  'freebsd',
  'linux',
  'openharmony',
  'win32',
  'sunos',
  'aix',
  'openbsd',
  'netbsd',
]);

/** What a platform package's name, such as `@oxlint/binding-linux-arm64-musl`, says it is for. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = words.find((word) => systems.has(word));
  if (os === undefined) return undefined;
  const cpu = words.slice(words.indexOf(os) + 1)[0];
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined;
  return { os: [os], ...(cpu === undefined ? {} : { cpu: [cpu] }), ...(libc && os === 'linux' ? { libc } : {}) };
}

let added = 0;
for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const platform = platformOf(name);
    if (platform === undefined || lock.packages[`node_modules/${name}`] !== undefined) continue;
    lock.packages[`node_modules/${name}`] = { version: version.replace(/^[\^~]/, ''), ...platform, optional: true };
    added++;
  }
}
const packages = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, undefined, 2)}\n`);
process.stdout.write(`added ${added} platform packages to package-lock.json\n`);
