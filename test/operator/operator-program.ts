import { join } from 'node:path';
import { freePort } from '@riskmodel/core/free-port.ts';
import { releaseNamespace } from '../chart/helm-chart.ts';
import { repository } from '../harness/local-system.ts';
import { Program } from '../harness/program.ts';

/** The operator's own program, as a pod runs it, with a replica's name. */
export class OperatorProgram extends Program {
  readonly url: string;

  private constructor(url: string, env: NodeJS.ProcessEnv) {
    super('operator', join(repository, 'operator/src/main.ts'), env);
    this.url = url;
  }

  static async start(kubeconfig: string, name: string, env: NodeJS.ProcessEnv = {}): Promise<OperatorProgram> {
    const port = await freePort();
    return new OperatorProgram(`http://127.0.0.1:${port}`, {
      // As the chart does.
      NODE_OPTIONS: '--max-semi-space-size=4',
      KUBECONFIG: kubeconfig,
      POD_NAME: name,
      POD_NAMESPACE: releaseNamespace,
      REDIS_URL: process.env['REDIS_URL'],
      RISKMODEL_REDIS_URL: 'redis://redis.riskmodel-system.svc:6379',
      RISKMODEL_IMAGE: 'riskmodel:1',
      RISKMODEL_IMAGE_PULL_POLICY: 'Never',
      RISKMODEL_STORAGE_CLAIM: 'riskmodel-data',
      RISKMODEL_DRAIN_SECONDS: '1',
      RISKMODEL_PORT: String(port),
      RISKMODEL_LOG_LEVEL: 'warn',
      ...env,
    });
  }

  /** The value of a metric: the sum over all series whose labels contain what is asked for. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** An upper bound of a quantile of a histogram, by its buckets. */
  async quantile(name: string, labels: Record<string, string>, quantile: number): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const buckets = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}_bucket{`) && wanted.every((label) => line.includes(label)))
      .map((line) => ({
        le: Number(/le="([^"]+)"/.exec(line)?.[1]?.replace('+Inf', 'Infinity')),
        count: Number(line.split(' ').at(-1)),
      }));
    const total = buckets.at(-1)?.count ?? 0;
    return buckets.find(({ count }) => count >= total * quantile)?.le ?? Number.NaN;
  }
}
