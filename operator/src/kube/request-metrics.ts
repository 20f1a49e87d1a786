import { Counter, Histogram, type Registry } from 'prom-client';

/** What is counted about requests, under client-go's names, so that existing dashboards and alerts work. */
export interface RequestMetrics {
  /** @param code the HTTP status, or `<error>` when no answer came. */
  observe(method: string, host: string, code: string, seconds: number): void;
}

export const noRequestMetrics: RequestMetrics = { observe: () => {} };

export function makeRequestMetrics(registry: Registry): RequestMetrics {
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Number of HTTP requests, partitioned by status code, method, and host.',
    labelNames: ['code', 'method', 'host'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Seconds until the answer began, partitioned by verb and host.',
    labelNames: ['verb', 'host'],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers: [registry],
  });
  return {
    observe: (method, host, code, seconds) => {
      requests.inc({ code, method, host });
      durations.observe({ verb: method, host }, seconds);
    },
  };
}
