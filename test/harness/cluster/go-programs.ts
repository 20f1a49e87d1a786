import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program that is built from a Go module of the folder `go/`. */
export interface GoProgram {
  name: ProgramName;
  /** The folder under `go/` whose go.mod and go.sum pin everything that goes into it. */
  moduleFolder: string;
  package: string;
  version: string;
  /** Its place in the cache. */
  cachePath: string;
  /** Go variables (`-X`) to set, which say the version where a release build would. */
  variables: Record<string, string>;
  /** How long the first build takes on two cores. */
  minutes: number;
}

const kubernetesPrograms = {
  'kube-apiserver': 10,
  'kube-controller-manager': 2,
  'kube-scheduler': 1,
  'kube-proxy': 1,
  kubectl: 2,
  kubelet: 2,
};

export type ProgramName =
  | keyof typeof kubernetesPrograms
  | 'etcd'
  | 'helm'
  | 'kwok'
  | 'metrics-server'
  | 'cluster-dns'
  | 'pause'
  | 'fake-gcs-server'
  | 'pubsub-emulator'
  | 'vegeta';

const modulesFolder = join(import.meta.dirname, 'go');

/** The program of that name at the version that its go.mod asks for. */
export function goProgram(name: ProgramName): GoProgram {
  switch (name) {
    case 'etcd':
      return makeProgram(name, {
        folder: 'etcd',
        module: 'go.etcd.io/etcd/server/v3',
        minutes: 1,
      });
    case 'helm':
      return makeProgram(name, {
        folder: 'helm',
        module: 'helm.sh/helm/v4',
        package: 'helm.sh/helm/v4/cmd/helm',
        variables: (version) => ({ 'helm.sh/helm/v4/internal/version.version': version }),
        minutes: 4,
      });
    case 'kwok':
      return makeProgram(name, {
        folder: 'kwok',
        module: 'sigs.k8s.io/kwok',
        package: 'sigs.k8s.io/kwok/cmd/kwok',
        minutes: 3,
      });
    case 'fake-gcs-server':
      return makeProgram(name, {
        folder: 'fake-gcs-server',
        module: 'github.com/fsouza/fake-gcs-server',
        minutes: 2,
      });
    case 'metrics-server':
      return makeProgram(name, {
        folder: 'metrics-server',
        module: 'sigs.k8s.io/metrics-server',
        package: 'sigs.k8s.io/metrics-server/cmd/metrics-server',
        minutes: 5,
      });
    case 'vegeta':
      return makeProgram(name, {
        folder: 'vegeta',
        module: 'github.com/tsenart/vegeta/v12',
        minutes: 1,
      });
    case 'pubsub-emulator':
      return makeOwnProgram(name, join(modulesFolder, name), '.');
    case 'cluster-dns':
    case 'pause':
      // From Kubernetes' modules and compiled parts.
      return makeOwnProgram(name, join(modulesFolder, 'kubernetes'), `./${name}`);
    default:
      return makeProgram(name, {
        folder: 'kubernetes',
        module: 'k8s.io/kubernetes',
        package: `k8s.io/kubernetes/cmd/${name}`,
        variables: (version) => ({ 'k8s.io/component-base/version.gitVersion': version }),
        minutes: kubernetesPrograms[name],
      });
  }
}

interface Source {
  folder: string;
  module: string;
  /** The module itself when absent. */
  package?: string;
  variables?: (version: string) => Record<string, string>;
  minutes: number;
}

function makeProgram(name: ProgramName, source: Source): GoProgram {
  const moduleFolder = join(modulesFolder, source.folder);
  const version = requiredVersion(moduleFolder, source.module);
  return {
    name,
    moduleFolder,
    package: source.package ?? source.module,
    version,
    cachePath: join(`${source.folder}-${version}`, name),
    variables: source.variables?.(version) ?? {},
    minutes: source.minutes,
  };
}

/** A program whose source lies here, in a package (`./FOLDER`) of a module. */
function makeOwnProgram(name: ProgramName, moduleFolder: string, sourcePackage: string): GoProgram {
  const sourceFolder = join(moduleFolder, sourcePackage);
  const sources = readdirSync(sourceFolder)
    .filter((file) => file.endsWith('.go'))
    .map((file) => join(sourceFolder, file));
  const hash = createHash('sha256');
  for (const file of [join(moduleFolder, 'go.mod'), ...sources.sort()]) hash.update(readFileSync(file));
  const version = hash.digest('hex').slice(0, 12);
  return {
    name,
    moduleFolder,
    package: sourcePackage,
    version,
    cachePath: join(`${name}-${version}`, name),
    variables: {},
    minutes: 1,
  };
}

/** The version of a module that a go.mod asks for, such as v1.37.2. */
function requiredVersion(moduleFolder: string, module: string): string {
  const file = join(moduleFolder, 'go.mod');
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [path, version] = line
      .replace(/^require /, '')
      .trim()
      .split(' ');
    if (path === module && version !== undefined) return version;
  }
  throw new Error(`${file} does not require ${module}`);
}
