import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is counted about the webhook. */
export interface WebhookMetrics {
  /** Notes that a request came; what it returns is told the HTTP status of the answer. */
  begin(): (status: number) => void;
  /** @param at milliseconds since the epoch. */
  expiresAt(at: number): void;
}

const webhook = '/validate';

/** Under controller-runtime's names where it has one, so that existing dashboards and alerts work. */
export function makeWebhookMetrics(registry: Registry): WebhookMetrics {
  const requests = new Counter({
    name: 'controller_runtime_webhook_requests_total',
    help: 'Total number of admission requests by HTTP status code.',
    labelNames: ['webhook', 'code'],
    registers: [registry],
  });
  const latency = new Histogram({
    name: 'controller_runtime_webhook_latency_seconds',
    help: 'Histogram of the latency of processing admission requests.',
    labelNames: ['webhook'],
    registers: [registry],
  });
  const expiry = new Gauge({
    name: 'riskmodel_webhook_certificate_expiry_timestamp_seconds',
    help: 'When the certificate that the webhook serves expires, in seconds since 1970.',
    registers: [registry],
  });
  return {
    begin: () => {
      const observe = latency.startTimer({ webhook });
      return (status) => {
        requests.inc({ webhook, code: String(status) });
        observe();
      };
    },
    expiresAt: (at) => expiry.set(at / 1000),
  };
}
