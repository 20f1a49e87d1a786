import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/kube-error.ts';
import { keyOf, type ObjectRef } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import {
  needsRotation,
  readCertificateSet,
  rotate,
  writeCertificateSet,
  type CertificateSet,
  type CertificateTimes,
  type SecretData,
} from './certificate-set.ts';
import type { CertificateSource } from './certificate-source.ts';

export const secretType: ResourceType = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true };

/** Replicas that find a certificate due at the same moment: one of them writes, the others read what it wrote. */
const attempts = 4;

export interface SecretCertificateOptions {
  client: Pick<KubeClient, 'get' | 'update'>;
  /** A Secret that is there, be it empty: so no right to make Secrets is needed. */
  secret: Required<ObjectRef>;
  /** The name that the webhook is called by. */
  host: string;
  times: CertificateTimes;
}

/** Certificates that all replicas share in a Secret. Whoever finds one due makes it; the first write wins. */
export class SecretCertificate implements CertificateSource {
  readonly #options: SecretCertificateOptions;

  constructor(options: SecretCertificateOptions) {
    this.#options = options;
  }

  async read(now: number): Promise<CertificateSet> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#readOrRotate(now);
      } catch (error) {
        if (!isConflict(error) || attempt === attempts) throw error;
      }
    }
  }

  async #readOrRotate(now: number): Promise<CertificateSet> {
    const { client, secret, host, times } = this.#options;
    const found = await client.get(secretType, secret);
    if (found === undefined) {
      throw new RiskModelError(
        'CertificateSecretMissing',
        `there is no Secret ${keyOf(secret)} to keep the webhook's certificate in: the chart makes it`,
        { retry: 'later' },
      );
    }
    const set = readCertificateSet((found['data'] ?? {}) as SecretData, host);
    if (set !== undefined && !needsRotation(set, now)) return set;
    const rotated = rotate(set, { host, now, times });
    // With the resourceVersion that was read: a write in between makes this one a conflict.
    await client.update({ ...found, data: writeCertificateSet(rotated) });
    return rotated;
  }
}
