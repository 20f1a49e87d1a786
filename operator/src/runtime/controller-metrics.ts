import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** How a reconcile ended; the words are controller-runtime's. */
export type ReconcileResult = 'success' | 'requeue_after' | 'error';

/** What is told about one controller. */
export interface ControllerMetrics {
  started(): void;
  ended(result: ReconcileResult, seconds: number): void;
  /** An error that repeating does not cure. */
  terminalError(): void;
  /** A mistake in the program, not in the cluster. */
  panicked(): void;
  timedOut(): void;
}

export const noControllerMetrics: ControllerMetrics = {
  started: () => {},
  ended: () => {},
  terminalError: () => {},
  panicked: () => {},
  timedOut: () => {},
};

const results: ReconcileResult[] = ['success', 'requeue_after', 'error'];
/** controller-runtime's, and some below a tenth of a second, where most are. */
const buckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
  1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

/** The metrics of all controllers, under controller-runtime's names. */
export function makeControllerMetrics(registry: Registry): (name: string, concurrency: number) => ControllerMetrics {
  const registers = [registry];
  const labelNames = ['controller'] as const;
  const total = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Total number of reconciliations per controller',
    labelNames: ['controller', 'result'],
    registers,
  });
  const counter = (name: string, help: string): Counter<'controller'> =>
    new Counter({ name: `controller_runtime_${name}`, help, labelNames, registers });
  const errors = counter('reconcile_errors_total', 'Total number of reconciliation errors per controller');
  const terminal = counter(
    'terminal_reconcile_errors_total',
    'Total number of terminal reconciliation errors per controller',
  );
  const panics = counter('reconcile_panics_total', 'Total number of reconciliation panics per controller');
  const timeouts = counter('reconcile_timeouts_total', 'Total number of reconciliation timeouts per controller');
  const seconds = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Length of time per reconciliation per controller',
    labelNames,
    buckets,
    registers,
  });
  const gauge = (name: string, help: string): Gauge<'controller'> =>
    new Gauge({ name: `controller_runtime_${name}`, help, labelNames, registers });
  const most = gauge('max_concurrent_reconciles', 'Maximum number of concurrent reconciles per controller');
  const active = gauge('active_workers', 'Number of currently used workers per controller');
  return (controller, concurrency) => {
    const labels = { controller };
    most.set(labels, concurrency);
    active.set(labels, 0);
    for (const result of results) total.inc({ controller, result }, 0);
    for (const each of [errors, terminal, panics, timeouts]) each.inc(labels, 0);
    return {
      started: () => active.inc(labels),
      ended: (result, took) => {
        active.dec(labels);
        total.inc({ controller, result });
        seconds.observe(labels, took);
        if (result === 'error') errors.inc(labels);
      },
      terminalError: () => terminal.inc(labels),
      panicked: () => panics.inc(labels),
      timedOut: () => timeouts.inc(labels),
    };
  };
}
