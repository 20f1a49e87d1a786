import { mkdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import { ApiClient } from './api-client.ts';
import { makeAuditPolicyFile, readAuditLog, type AuditEvent, type AuditPolicy } from './audit-log.ts';
import { ensureBinaries } from './binaries.ts';
import { CertificateAuthority, makeSigningKey, type Certificate, type Identity } from './certificate-authority.ts';
import { EtcdClient } from './etcd-client.ts';
import type { ProgramName } from './go-programs.ts';
import { ClusterCommand } from './kubectl.ts';
import { makeKubeconfig, type Credentials } from './kubeconfig.ts';
import { makeRunFolder, removeAbandonedRuns } from './run-folder.ts';
import { ServerProcess } from './server-process.ts';
import { stablePort } from '@riskmodel/core/testing/stable-port.ts';

export interface ControlPlaneOptions {
  /** Runs kube-controller-manager, so that Deployments get ReplicaSets and namespaces can be deleted. */
  controllerManager?: boolean;
  /** Runs kube-scheduler. */
  scheduler?: boolean;
  /** Further arguments, such as `--watch-cache=false` or `--min-request-timeout=5`; the last of a name holds. */
  apiServerArgs?: string[];
  controllerManagerArgs?: string[];
  /** Further variables of its programs' environment. */
  env?: Record<string, string>;
  /** Writes requests down for `auditEvents`. */
  audit?: AuditPolicy;
  /** An address of this machine that the API server listens on instead of 127.0.0.1, for nodes to reach it. */
  address?: string;
  /** What Services get their addresses from. */
  serviceCidr?: string;
  /** Told, in whole lines, what takes long. */
  log?: (line: string) => void;
}

/** A service account as `NAMESPACE/NAME`. */
export type Subject = Identity | { serviceAccount: string };

/** A Kubernetes control plane of a test's own. */
export interface ControlPlane {
  /** The API server's URL. */
  readonly url: string;
  /** A folder for whatever belongs to this cluster; `stop` removes it. */
  readonly folder: string;
  /** The kubeconfig file of a cluster administrator. */
  readonly kubeconfig: string;
  /** The administrator's client. */
  readonly api: ApiClient;
  /** The administrator's kubectl. */
  readonly kubectl: ClusterCommand;
  /** The authority that every certificate of the cluster is from. */
  readonly ca: CertificateAuthority;
  /** How long it took from nothing to an API server that is ready, without builds. */
  readonly startMs: number;
  /** What somebody needs to be let in: a new certificate for a user, a new token for a service account that exists. */
  credentialsFor(subject: Subject): Promise<Credentials>;
  /** Writes a kubeconfig file for somebody and returns its path. */
  kubeconfigFor(subject: Subject): Promise<string>;
  /** Stops the API server (or kills it), waits until it has gone and then `downMs` more, and starts it again. */
  restartApiServer(options?: { downMs?: number; kill?: boolean }): Promise<void>;
  /** Makes etcd forget its history, so that watches from the past get 410. Returns the oldest revision it has now. */
  compactEtcd(): Promise<string>;
  /** The requests that were written down so far. */
  auditEvents(): Promise<AuditEvent[]>;
  /** Ends all its programs and removes its folder. */
  stop(): Promise<void>;
}

/** The first address of `defaultServiceCidr` is the Service `kubernetes`. */
const defaultServiceCidr = '10.96.0.0/16';

/**
 * Starts etcd and a kube-apiserver, and what else is asked for, with a certificate authority of their own. All of it
 * listens on 127.0.0.1 only, at ports that were free, and ends with this process however that ends.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { log = () => {} } = options;
  const binaries = await ensureBinaries(neededPrograms(options), log);
  await removeAbandonedRuns();
  const plane = new LocalControlPlane(await makeRunFolder(), binaries, options);
  try {
    await plane.start();
    return plane;
  } catch (error) {
    await plane.stop({ keepFolder: true });
    throw error;
  }
}

function neededPrograms({ controllerManager, scheduler }: ControlPlaneOptions): ProgramName[] {
  return [
    'etcd',
    'kube-apiserver',
    'kubectl',
    ...(controllerManager ? (['kube-controller-manager'] as const) : []),
    ...(scheduler ? (['kube-scheduler'] as const) : []),
  ];
}

interface ServerOptions {
  flags: Record<string, string>;
  /** Come after the flags. */
  args?: string[];
  isReady: () => Promise<boolean>;
  stopTimeoutMs?: number;
}

class LocalControlPlane implements ControlPlane {
  readonly folder: string;
  readonly kubeconfig: string;
  url = '';
  startMs = 0;
  ca!: CertificateAuthority;
  api!: ApiClient;
  kubectl!: ClusterCommand;
  readonly #pki: string;
  readonly #binaries: Record<string, string>;
  readonly #options: ControlPlaneOptions;
  /** In the order in which they were started. */
  readonly #servers: ServerProcess[] = [];
  #etcd!: EtcdClient;
  #apiServer!: ServerProcess;
  #kubeconfigs = 0;

  constructor(folder: string, binaries: Record<string, string>, options: ControlPlaneOptions) {
    this.folder = folder;
    this.kubeconfig = join(folder, 'admin.kubeconfig');
    this.#pki = join(folder, 'pki');
    this.#binaries = binaries;
    this.#options = options;
  }

  async start(): Promise<void> {
    const startedAt = performance.now();
    await mkdir(this.#pki);
    const [etcdUrl] = await Promise.all([this.#startEtcd(), this.#makeCertificates()]);
    await this.#startApiServer(etcdUrl);
    this.startMs = performance.now() - startedAt;
    const { controllerManager, scheduler, controllerManagerArgs } = this.#options;
    await Promise.all([
      controllerManager && this.#startController('kube-controller-manager', controllerManagerArgs),
      scheduler && this.#startController('kube-scheduler'),
    ]);
  }

  async #makeCertificates(): Promise<void> {
    [this.ca] = await Promise.all([
      CertificateAuthority.create(this.#pki),
      makeSigningKey(this.#serviceAccountKey, this.#serviceAccountPublicKey),
    ]);
  }

  get #serviceAccountKey(): string {
    return join(this.#pki, 'service-accounts.key');
  }

  get #serviceAccountPublicKey(): string {
    return join(this.#pki, 'service-accounts.pub');
  }

  async #startEtcd(): Promise<string> {
    const [client, peer] = await Promise.all([stablePort(), stablePort()]);
    const [url, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    await this.#startServer('etcd', {
      flags: {
        'data-dir': join(this.folder, 'etcd'),
        'listen-client-urls': url,
        'advertise-client-urls': url,
        'listen-peer-urls': peerUrl,
        'initial-advertise-peer-urls': peerUrl,
        'initial-cluster': `default=${peerUrl}`,
        // The data need not outlive the machine, and waiting for the disk is most of what a write costs.
        'unsafe-no-fsync': 'true',
        'log-level': 'warn',
      },
      isReady: async () => (await fetch(`${url}/readyz`)).ok,
    });
    this.#etcd = new EtcdClient(url);
    return url;
  }

  async #startApiServer(etcdUrl: string): Promise<void> {
    const { address = '127.0.0.1', serviceCidr = defaultServiceCidr, audit, apiServerArgs = [] } = this.#options;
    const port = await stablePort(address);
    this.url = `https://${address}:${port}`;
    const [server, kubeletClient, admin, frontProxy] = await Promise.all([
      this.ca.issueServer('kube-apiserver', serverHosts(address, serviceCidr)),
      this.ca.issueClient({ user: 'kube-apiserver', groups: ['system:masters'] }),
      this.ca.issueClient({ user: 'admin', groups: ['system:masters'] }),
      this.ca.issueClient({ user: frontProxyName }),
    ]);
    await this.#connectAs(admin);
    // Nodes are told the address by the Service `kubernetes`; nobody is where there is only 127.0.0.1.
    const reachable = address !== '127.0.0.1';
    this.#apiServer = await this.#startServer('kube-apiserver', {
      flags: {
        'etcd-servers': etcdUrl,
        'bind-address': address,
        'secure-port': String(port),
        ...(reachable ? { 'advertise-address': address } : { 'endpoint-reconciler-type': 'none' }),
        // Servers that answer for APIs are processes of this machine, asked at their own addresses; without a node there
        // are no such addresses, and Services are names (ExternalName), which this would not look up.
        ...(reachable ? { 'enable-aggregator-routing': 'true' } : {}),
        'tls-cert-file': server.certFile,
        'tls-private-key-file': server.keyFile,
        'client-ca-file': this.ca.certFile,
        'kubelet-client-certificate': kubeletClient.certFile,
        'kubelet-client-key': kubeletClient.keyFile,
        'kubelet-preferred-address-types': 'InternalIP',
        'service-account-issuer': 'https://kubernetes.default.svc',
        'service-account-key-file': this.#serviceAccountPublicKey,
        'service-account-signing-key-file': this.#serviceAccountKey,
        'service-cluster-ip-range': serviceCidr,
        'authorization-mode': 'Node,RBAC',
        'allow-privileged': 'true',
        ...aggregationFlags(this.ca.certFile, frontProxy),
        ...(audit ? await this.#makeAuditFlags(audit) : {}),
      },
      args: apiServerArgs,
      isReady: async () => (await this.api.send('GET', '/readyz')).status === 200,
      // An orderly stop waits up to a minute for watches to end, which the controllers' never do.
      stopTimeoutMs: 3_000,
    });
  }

  async #makeAuditFlags(policy: AuditPolicy): Promise<Record<string, string>> {
    const file = join(this.folder, 'audit-policy.json');
    await writeFile(file, makeAuditPolicyFile(policy));
    return { 'audit-policy-file': file, 'audit-log-path': this.#auditLog };
  }

  get #auditLog(): string {
    return join(this.folder, 'audit.log');
  }

  async #connectAs(admin: Certificate): Promise<void> {
    const credentials = { server: this.url, ca: this.ca.cert, as: admin };
    await writeFile(this.kubeconfig, makeKubeconfig(credentials));
    this.api = new ApiClient(credentials);
    this.kubectl = new ClusterCommand(this.#binaries['kubectl'] as string, this.kubeconfig);
  }

  async #startController(name: 'kube-controller-manager' | 'kube-scheduler', args: string[] = []): Promise<void> {
    const port = await stablePort();
    const kubeconfig = await this.kubeconfigFor({ user: `system:${name}` });
    const controllerManagerFlags = {
      'use-service-account-credentials': 'true',
      'service-account-private-key-file': this.#serviceAccountKey,
      'root-ca-file': this.ca.certFile,
      // When an API server was away, this one's cache may be a minute behind the heartbeats that the node sends again. It
      // would take the only node for dead, and its pods for not ready, which a second node would have made up for.
      'node-monitor-grace-period': '10m',
    };
    await this.#startServer(name, {
      flags: {
        kubeconfig,
        'authentication-kubeconfig': kubeconfig,
        'authorization-kubeconfig': kubeconfig,
        'bind-address': '127.0.0.1',
        'secure-port': String(port),
        'leader-elect': 'false',
        // At the usual limits its start alone waits five seconds for its turn.
        'kube-api-qps': '500',
        'kube-api-burst': '1000',
        ...(name === 'kube-controller-manager' ? controllerManagerFlags : {}),
      },
      args,
      isReady: () => isHealthy(port),
    });
  }

  async #startServer(
    name: ProgramName,
    { flags, args = [], isReady, stopTimeoutMs }: ServerOptions,
  ): Promise<ServerProcess> {
    const server = new ServerProcess({
      name,
      command: this.#binaries[name] as string,
      args: [...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`), ...args],
      logFile: join(this.folder, `${name}.log`),
      isReady,
      ...(this.#options.env ? { env: this.#options.env } : {}),
      ...(stopTimeoutMs === undefined ? {} : { stopTimeoutMs }),
    });
    this.#servers.push(server);
    await server.start();
    return server;
  }

  async credentialsFor(subject: Subject): Promise<Credentials> {
    const { url: server, ca } = this;
    if ('user' in subject) return { server, ca: ca.cert, as: await ca.issueClient(subject) };
    const [namespace, name] = subject.serviceAccount.split('/');
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const request = { spec: { expirationSeconds: 24 * 60 * 60 } };
    const { status } = await this.api.call<{ status: { token: string } }>('POST', path, request);
    return { server, ca: ca.cert, as: { token: status.token }, ...(namespace ? { namespace } : {}) };
  }

  async kubeconfigFor(subject: Subject): Promise<string> {
    const file = join(this.folder, `client-${++this.#kubeconfigs}.kubeconfig`);
    await writeFile(file, makeKubeconfig(await this.credentialsFor(subject)));
    return file;
  }

  async restartApiServer({ downMs = 0, kill = false } = {}): Promise<void> {
    await (kill ? this.#apiServer.kill() : this.#apiServer.stop());
    await sleep(downMs);
    await this.#apiServer.start();
  }

  compactEtcd(): Promise<string> {
    return this.#etcd.compact();
  }

  auditEvents(): Promise<AuditEvent[]> {
    return readAuditLog(this.#auditLog);
  }

  async stop({ keepFolder = false } = {}): Promise<void> {
    this.api?.close();
    // What uses a server goes before the server; nothing here is worth an orderly end.
    for (const server of this.#servers.toReversed()) await server.kill();
    if (!keepFolder) await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

const frontProxyName = 'front-proxy';

/** Lets other servers, such as metrics-server, answer for APIs of the cluster: they are told who asks in headers. */
function aggregationFlags(caFile: string, { certFile, keyFile }: Certificate): Record<string, string> {
  return {
    'requestheader-client-ca-file': caFile,
    'requestheader-allowed-names': frontProxyName,
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': certFile,
    'proxy-client-key-file': keyFile,
  };
}

/** What the API server is called by its clients, in pods too. */
function serverHosts(address: string, serviceCidr: string): string[] {
  const firstServiceAddress = serviceCidr.replace(/\.\d+\/\d+$/, '.1');
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  return [...new Set([address, '127.0.0.1', firstServiceAddress]), ...names, 'kubernetes.default.svc.cluster.local'];
}

/** Whether a controller says it is well. Its own certificate is made at its start and known to nobody. */
async function isHealthy(port: number): Promise<boolean> {
  const outgoing = request(`https://127.0.0.1:${port}/healthz`, { rejectUnauthorized: false, agent: false });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.resume();
  return incoming.statusCode === 200;
}
