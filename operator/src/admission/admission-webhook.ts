import type { Registry } from 'prom-client';
import { messageOf } from '@riskmodel/core/errors.ts';
import type { Logger } from '@riskmodel/core/telemetry/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { sleep, systemClock, type Clock } from '../runtime/clock.ts';
import type { AdmissionRequest, AdmissionResponse } from './admission-review.ts';
import { applyCaBundle } from './ca-bundle.ts';
import {
  certificateTimes,
  certificateToServe,
  expiryOf,
  type CertificateTimes,
  type ServingCertificate,
} from './certificate-set.ts';
import type { CertificateSource } from './certificate-source.ts';
import { modelLookup } from './model-lookup.ts';
import { MountedCertificate } from './mounted-certificate.ts';
import { reviewRequest } from './review-request.ts';
import { SecretCertificate } from './secret-certificate.ts';
import type { AdmissionSettings } from './settings.ts';
import { makeWebhookMetrics, type WebhookMetrics } from './webhook-metrics.ts';
import { WebhookServer } from './webhook-server.ts';

export interface AdmissionWebhookDeps {
  client: KubeClient;
  registry: Registry;
  logger: Logger;
  clock?: Clock;
  times?: CertificateTimes;
  /** How often certificate and configuration are looked at. */
  pollMs?: number;
  /** How long requests are still answered when the program is to end, since some are sent here a little longer. */
  drainMs?: number;
}

const defaultPollMs = 30_000;
const defaultDrainMs = 3_000;
/** The first certificate is waited for impatiently. */
const firstPollMs = 2_000;

/** The webhook of one replica: leader or not, each serves it. */
export class AdmissionWebhook {
  readonly #settings: AdmissionSettings;
  readonly #deps: AdmissionWebhookDeps;
  readonly #clock: Clock;
  readonly #times: CertificateTimes;
  readonly #source: CertificateSource;
  readonly #metrics: WebhookMetrics;
  #server: WebhookServer | undefined;
  #served: ServingCertificate | undefined;
  #port: number | undefined;
  #problem: string | undefined;

  constructor(settings: AdmissionSettings, deps: AdmissionWebhookDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    this.#times = deps.times ?? certificateTimes;
    const { certificate } = settings;
    this.#source =
      'folder' in certificate
        ? new MountedCertificate(certificate.folder)
        : new SecretCertificate({ client: deps.client, times: this.#times, ...certificate });
    this.#metrics = makeWebhookMetrics(deps.registry);
  }

  /** Where it listens, once it has a certificate. */
  get port(): number | undefined {
    return this.#port;
  }

  /** What is wrong, for a readiness probe: that it does not answer yet, and why. */
  check(): string | undefined {
    if (this.#port !== undefined) return undefined;
    return `waiting for a certificate${this.#problem === undefined ? '' : `: ${this.#problem}`}`;
  }

  /**
   * Serves until the signal is aborted, and a little longer. Whatever stands against having a certificate is tried again.
   * @throws Error when the port is taken.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { pollMs = defaultPollMs, drainMs = defaultDrainMs } = this.#deps;
    try {
      while (!signal.aborted) {
        const certificate = await this.#certificate();
        if (certificate) await this.#serve(certificate);
        await sleep(this.#clock, this.#server ? pollMs : Math.min(pollMs, firstPollMs), signal);
      }
      if (this.#server) await sleep(this.#clock, drainMs);
    } finally {
      await this.#server?.close();
    }
  }

  /** The certificate to serve from now on, once clients know whom to trust; undefined when it can't be told. */
  async #certificate(): Promise<ServingCertificate | undefined> {
    const { certificate: settings } = this.#settings;
    try {
      const found = await this.#source.read(this.#clock.now());
      if ('folder' in settings || !('bundle' in found)) {
        this.#tell(undefined);
        return 'newest' in found ? found.newest : found;
      }
      const isTrusted = await this.#trust(settings.configuration, found.bundle);
      return certificateToServe(found, { now: this.#clock.now(), settleMs: this.#times.settleMs, isTrusted });
    } catch (error) {
      this.#tell(error);
      return undefined;
    }
  }

  async #trust(configuration: string, bundle: string): Promise<boolean> {
    try {
      if (await applyCaBundle(this.#deps.client, configuration, bundle)) {
        this.#deps.logger.info({ configuration }, 'told the API server whom to trust');
      }
      this.#tell(undefined);
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  async #serve(certificate: ServingCertificate): Promise<void> {
    if (certificate.cert === this.#served?.cert) return;
    const { client, logger } = this.#deps;
    if (this.#server) {
      this.#server.use(certificate);
    } else {
      const review = (request: AdmissionRequest): Promise<AdmissionResponse> =>
        reviewRequest(request, modelLookup(client));
      const server = new WebhookServer(
        { port: this.#settings.port, review, metrics: this.#metrics, logger },
        certificate,
      );
      this.#port = await server.listen();
      this.#server = server;
    }
    this.#served = certificate;
    const expiresAt = expiryOf(certificate.cert);
    this.#metrics.expiresAt(expiresAt);
    logger.info({ expires: new Date(expiresAt).toISOString() }, 'the webhook serves another certificate');
  }

  /** Logs a problem when it is another than the last one, and not every half minute. */
  #tell(error: unknown): void {
    const problem = error === undefined ? undefined : messageOf(error);
    if (problem !== undefined && problem !== this.#problem) {
      this.#deps.logger.warn({ err: error }, 'the webhook is not as it should be; trying again');
    }
    this.#problem = problem;
  }
}
