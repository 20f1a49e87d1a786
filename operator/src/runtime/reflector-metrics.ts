import { Counter, type Registry } from 'prom-client';

/** What is counted of a type's lists and watches. Names are client-go's, where it has them. */
export interface ReflectorMetrics {
  listed(): void;
  watched(): void;
  failed(reason: string): void;
}

export const noReflectorMetrics: ReflectorMetrics = { listed: () => {}, watched: () => {}, failed: () => {} };

export function makeReflectorMetrics(registry: Registry): (name: string) => ReflectorMetrics {
  const registers = [registry];
  const lists = new Counter({
    name: 'reflector_lists_total',
    help: 'Total number of API lists done by the reflectors',
    labelNames: ['name'],
    registers,
  });
  const watches = new Counter({
    name: 'reflector_watches_total',
    help: 'Total number of API watches done by the reflectors',
    labelNames: ['name'],
    registers,
  });
  const failures = new Counter({
    name: 'reflector_failures_total',
    help: 'Total number of lists and watches that failed, by reason',
    labelNames: ['name', 'reason'],
    registers,
  });
  return (name) => ({
    listed: () => lists.inc({ name }),
    watched: () => watches.inc({ name }),
    failed: (reason) => failures.inc({ name, reason }),
  });
}
