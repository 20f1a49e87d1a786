import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AdmissionRequest, AdmissionResponse } from './admission-review.ts';

/** What is counted about the webhook. */
export interface WebhookMetrics {
  /** Notes that a request came; what it returns is told the HTTP status of the answer. */
  begin(): (status: number) => void;
  /** Notes what was decided. */
  decided(request: AdmissionRequest, response: AdmissionResponse): void;
  /** @param at milliseconds since the epoch. */
  expiresAt(at: number): void;
}

const webhook = '/validate';
/** What may be a label's value: the API server asks of no other kinds. */
const kinds = new Set(['RiskModel', 'BatchPrediction']);

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
  const decisions = new Counter({
    name: 'riskmodel_webhook_decisions_total',
    help: 'Total number of objects that the webhook allowed, allowed with a warning, or refused.',
    labelNames: ['kind', 'decision'],
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
    decided: ({ kind: { kind } }, { allowed, warnings = [] }) => {
      const decision = !allowed ? 'refused' : warnings.length > 0 ? 'warned' : 'allowed';
      decisions.inc({ kind: kinds.has(kind) ? kind : 'other', decision });
    },
    expiresAt: (at) => expiry.set(at / 1000),
  };
}
