import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from '../cluster/cache-folder.ts';
import { runCommand } from '../cluster/run-command.ts';

interface PublishedCrd {
  /** A Go module that has the CRD in it. */
  module: string;
  version: string;
  /** The module's checksum, as in a go.sum. */
  sum: string;
  file: string;
}

const certManager = {
  module: 'github.com/cert-manager/cert-manager',
  version: 'v1.21.2',
  sum: 'h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=',
};
const prometheusOperator = {
  module: 'github.com/prometheus-operator/prometheus-operator',
  version: 'v0.85.0',
  sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=',
};
const gatewayApi = {
  module: 'sigs.k8s.io/gateway-api',
  version: 'v1.6.0',
  sum: 'h1:735YBRj5NXFrOGX0GoSjwzUIzbz8kiEOfADsqHFmHgE=',
};
const keda = {
  module: 'github.com/kedacore/keda/v2',
  version: 'v2.21.0',
  sum: 'h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=',
};

const exampleCrds = 'example/prometheus-operator-crd';
/** CRDs as their projects publish them, by name. Google's are published nowhere that a package registry reaches. */
const publishedCrds: Record<string, PublishedCrd> = {
  'certificates.cert-manager.io': { ...certManager, file: 'deploy/crds/cert-manager.io_certificates.yaml' },
  'issuers.cert-manager.io': { ...certManager, file: 'deploy/crds/cert-manager.io_issuers.yaml' },
  'servicemonitors.monitoring.coreos.com': {
    ...prometheusOperator,
    file: `${exampleCrds}/monitoring.coreos.com_servicemonitors.yaml`,
  },
  'podmonitors.monitoring.coreos.com': {
    ...prometheusOperator,
    file: `${exampleCrds}/monitoring.coreos.com_podmonitors.yaml`,
  },
  'prometheusrules.monitoring.coreos.com': {
    ...prometheusOperator,
    file: `${exampleCrds}/monitoring.coreos.com_prometheusrules.yaml`,
  },
  'httproutes.gateway.networking.k8s.io': {
    ...gatewayApi,
    file: 'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml',
  },
  'scaledobjects.keda.sh': { ...keda, file: 'config/crd/bases/keda.sh_scaledobjects.yaml' },
};

/**
 * The file with a CRD that another project publishes; it is fetched once and kept.
 * @param name `PLURAL.GROUP`
 * @returns undefined for one that can't be had.
 * @throws Error in one line when Go is missing or its module can't be fetched
 */
export async function ensurePublishedCrd(name: string): Promise<string | undefined> {
  const crd = publishedCrds[name];
  if (crd === undefined) return undefined;
  const target = join(cacheFolder(), 'crds', `${crd.module.replaceAll('/', '-')}-${crd.version}`, basename(crd.file));
  if (existsSync(target)) return target;
  const folder = await fetchModule(crd);
  await mkdir(dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}.partial`;
  await copyFile(join(folder, crd.file), partial);
  await rename(partial, target);
  return target;
}

/** @returns where the module lies */
async function fetchModule({ module, version, sum }: PublishedCrd): Promise<string> {
  // Not in the clone, whose modules are no matter of this one.
  const download = ['-C', tmpdir(), 'mod', 'download'];
  // At first without -json, with which Go would not say in words what is wrong.
  await runCommand('go', [...download, `${module}@${version}`]);
  const json = await runCommand('go', [...download, '-json', `${module}@${version}`]);
  const { Dir: folder, Sum: found } = JSON.parse(json) as { Dir: string; Sum: string };
  if (found !== sum) throw new Error(`${module}@${version} is not what it was: its checksum is ${found}, not ${sum}`);
  return folder;
}
