import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.ts';
import { withFileLock } from './file-lock.ts';
import { hasImage, runBuildah } from './buildah.ts';
import { hostProgram } from './host-programs.ts';
import { runCommand } from './run-command.ts';

const suite = 'bookworm';
const npmVersion = '11.21.2';

/** The libraries that Node and native addons are linked to, and the certificates that TLS needs. */
const debianPackages = ['libstdc++6', 'libatomic1', 'ca-certificates'];

/** What this machine trusts, which may be more than Debian does: the registry of a company, or a proxy before it. */
const trustedCertificates = '/etc/ssl/certs/ca-certificates.crt';

/** What the official image makes of it, npm on the PATH and a user without rights, and the trust of this machine. */
const dockerfile = `
FROM scratch
ADD debian.tar /
COPY ca-certificates.crt ${trustedCertificates}
COPY npmrc /usr/local/etc/npmrc
COPY node /usr/local/bin/node
COPY node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \\
 && groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
CMD ["node"]
`;

/**
 * Makes sure of an image that stands in for `node:24-bookworm-slim`, which only an image registry has: Debian from its
 * own packages, the Node that runs this test, and npm. Returns its name.
 */
export async function ensureBaseImage(log: (line: string) => void): Promise<string> {
  const certificates = await readFile(trustedCertificates);
  const hash = createHash('sha256')
    .update(certificates)
    .update(dockerfile)
    .update(npmVersion)
    .digest('hex')
    .slice(0, 8);
  const image = `localhost/node-base:${process.versions.node}-${suite}-${hash}`;
  if (!(await hasImage(image))) {
    await withFileLock(join(cacheFolder(), 'base-image.lock'), async () => {
      if (!(await hasImage(image))) await buildBaseImage(image, certificates, log);
    });
  }
  return image;
}

async function buildBaseImage(image: string, certificates: Buffer, log: (line: string) => void): Promise<void> {
  log(`building the base image ${image}, about two minutes the first time`);
  const context = await mkdtemp(join(tmpdir(), 'riskmodel-base-image-'));
  try {
    await runCommand(await hostProgram('unshare'), [
      '--mount',
      await hostProgram('mmdebstrap'),
      '--quiet',
      '--variant=minbase',
      `--include=${debianPackages.join(',')}`,
      suite,
      join(context, 'debian.tar'),
    ]);
    await writeFile(join(context, 'ca-certificates.crt'), certificates);
    await writeFile(join(context, 'npmrc'), `cafile=${trustedCertificates}\n`);
    await copyFile(process.execPath, join(context, 'node'));
    await runCommand('npm', [
      'install',
      '--prefix',
      context,
      '--no-save',
      '--no-audit',
      '--no-fund',
      `npm@${npmVersion}`,
    ]);
    await writeFile(join(context, 'Dockerfile'), dockerfile);
    await runBuildah(['bud', '--quiet', '--tag', image, '--file', join(context, 'Dockerfile'), context]);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
