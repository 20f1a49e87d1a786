// A replica that does nothing but lead: says on its standard output when it begins to and when it ends.
// Arguments: KUBECONFIG IDENTITY
import { KubeClient } from '../../../operator/src/kube/client.ts';
import { kubeconfigConnection } from '../../../operator/src/kube/kubeconfig.ts';
import { systemClock } from '../../../operator/src/runtime/clock.ts';
import { LeaderElector } from '../../../operator/src/runtime/leader-election.ts';
import { makeLogger } from '@riskmodel/core/telemetry/logger.ts';

const [kubeconfig, identity] = process.argv.slice(2) as [string, string];

function say(what: string): void {
  process.stdout.write(`${JSON.stringify({ identity, what, at: Date.now() })}\n`);
}

const client = new KubeClient({ connection: await kubeconfigConnection(kubeconfig) });
const logger = makeLogger('candidate', 'info', { write: (line) => void process.stderr.write(line) });
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

const elector = new LeaderElector({
  client,
  lease: { namespace: 'default', name: 'test-election' },
  identity,
  clock: systemClock,
  random: Math.random,
  logger,
});

async function lead(signal: AbortSignal): Promise<void> {
  say('leads');
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  say('stops');
}

say('waits');
try {
  await elector.lead(lead, stop.signal);
  say('ended');
} catch (error) {
  say(error instanceof Error ? error.name : 'failed');
  process.exitCode = 1;
} finally {
  await client.close();
}
