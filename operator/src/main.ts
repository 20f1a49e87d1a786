import { collectDefaultMetrics, Registry } from 'prom-client';
import { messageOf } from '@riskmodel/core/errors.ts';
import { connectRedis } from '@riskmodel/core/redis/connect.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';
import { AdmissionWebhook } from './admission/admission-webhook.ts';
import { runBeside } from './admission/run-beside.ts';
import { KubeClient } from './kube/client.ts';
import { loadConnection } from './kube/load-connection.ts';
import { makeRequestMetrics } from './kube/request-metrics.ts';
import { makeOperator } from './operator.ts';
import { runTriggers } from './triggers/run-triggers.ts';
import { readSettings } from './settings.ts';

try {
  const settings = readSettings(process.env);
  const logger = makeLogger('operator', settings.logLevel);
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const client = new KubeClient({
    connection: await loadConnection(process.env),
    userAgent: 'riskmodel-operator',
    metrics: makeRequestMetrics(registry),
  });
  const redis = connectRedis(settings.redisUrl, 'request', (err) => logger.warn({ err }, 'Redis does not answer'));
  try {
    const manager = { registry };
    const operator = makeOperator(settings, { client, redis, logger, now: () => new Date(), manager });
    const programs = [(signal: AbortSignal) => operator.run(signal)];
    if (settings.admission) {
      const webhook = new AdmissionWebhook(settings.admission, { client, registry, logger });
      // The API server would ask a replica that does not answer yet.
      operator.addReadyCheck('webhook', () => webhook.check());
      programs.push((signal) => webhook.run(signal));
    }
    const { triggers, workloads } = settings;
    if (triggers) {
      const deps = { redis, workloads, logger, now: () => new Date(), models: () => operator.models() };
      programs.push((signal) => runTriggers(triggers, deps, signal));
    }
    await runBeside(programs, stopping.signal);
    logger.info('stopped');
  } finally {
    redis.disconnect();
  }
} catch (error) {
  // Among others when another replica leads: it is Kubernetes that starts this one again, as a follower.
  process.stderr.write(`riskmodel operator: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
