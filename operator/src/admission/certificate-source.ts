import type { CertificateSet, ServingCertificate } from './certificate-set.ts';

/** Where a certificate comes from, asked again and again. */
export interface CertificateSource {
  /**
   * What there is at this moment. A set comes with the authorities that are to be made known; of a single certificate
   * somebody else does that.
   * @param now milliseconds since the epoch.
   * @throws RiskModelError or KubeError when it can't be had; it may come later.
   */
  read(now: number): Promise<CertificateSet | ServingCertificate>;
}
