import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is told about one work queue. Times are seconds. */
export interface QueueMetrics {
  added(): void;
  retried(): void;
  depth(keys: number): void;
  /** How long a key was due before it was taken. */
  waited(seconds: number): void;
  /** How long a key was worked on. */
  worked(seconds: number): void;
  /** Where to ask, at each scrape, for how long the keys that are being worked on have been. */
  observeUnfinished(read: () => number[]): void;
}

export const noQueueMetrics: QueueMetrics = {
  added: () => {},
  retried: () => {},
  depth: () => {},
  waited: () => {},
  worked: () => {},
  observeUnfinished: () => {},
};

/** From a tenth of a millisecond to 100 s; Node measures nothing shorter that would matter. */
const buckets = [0.0001, 0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 100];
const labelNames = ['name', 'controller'] as const;

/** The metrics of all work queues, under client-go's names and controller-runtime's labels. */
export function makeQueueMetrics(registry: Registry): (name: string) => QueueMetrics {
  const registers = [registry];
  const unfinished = new Map<string, () => number[]>();
  const depth = new Gauge({ name: 'workqueue_depth', help: 'Current depth of workqueue', labelNames, registers });
  const adds = new Counter({
    name: 'workqueue_adds_total',
    help: 'Total number of adds handled by workqueue',
    labelNames,
    registers,
  });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Total number of retries handled by workqueue',
    labelNames,
    registers,
  });
  const waits = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long in seconds an item stays in workqueue before being requested',
    labelNames,
    buckets,
    registers,
  });
  const works = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long in seconds processing an item from workqueue takes',
    labelNames,
    buckets,
    registers,
  });
  const readUnfinished = (gauge: Gauge<'name' | 'controller'>, of: (seconds: number[]) => number): void => {
    for (const [name, read] of unfinished) gauge.set({ name, controller: name }, of(read()));
  };
  void new Gauge({
    name: 'workqueue_unfinished_work_seconds',
    help: 'How many seconds of work is in progress and not yet in work_duration; stuck work makes it grow',
    labelNames,
    registers,
    collect() {
      readUnfinished(this, (seconds) => seconds.reduce((sum, each) => sum + each, 0));
    },
  });
  void new Gauge({
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How many seconds has the longest running processor for workqueue been running',
    labelNames,
    registers,
    collect() {
      readUnfinished(this, (seconds) => Math.max(0, ...seconds));
    },
  });
  return (name) => {
    const labels = { name, controller: name };
    depth.set(labels, 0);
    adds.inc(labels, 0);
    retries.inc(labels, 0);
    return {
      added: () => adds.inc(labels),
      retried: () => retries.inc(labels),
      depth: (keys) => depth.set(labels, keys),
      waited: (seconds) => waits.observe(labels, seconds),
      worked: (seconds) => works.observe(labels, seconds),
      observeUnfinished: (read) => void unfinished.set(name, read),
    };
  };
}
