import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { ServingCertificate } from './certificate-set.ts';
import type { CertificateSource } from './certificate-source.ts';

/** The certificate that cert-manager puts into a mounted Secret, and renews there. */
export class MountedCertificate implements CertificateSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(): Promise<ServingCertificate> {
    try {
      const [cert, key] = await Promise.all(
        ['tls.crt', 'tls.key'].map((name) => readFile(join(this.#folder, name), 'utf8')),
      );
      const served = { cert: cert ?? '', key: key ?? '' };
      // Between the two reads, the kubelet may have put other files there.
      if (new X509Certificate(served.cert).checkPrivateKey(createPrivateKey(served.key))) return served;
    } catch (cause) {
      throw this.#unreadable({ cause });
    }
    throw this.#unreadable({});
  }

  #unreadable(options: { cause?: unknown }): RiskModelError {
    const message = `cannot read a certificate and its key in ${this.#folder}: cert-manager makes them`;
    return new RiskModelError('CertificateUnreadable', message, { retry: 'later', ...options });
  }
}
