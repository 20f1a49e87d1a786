/** What the webhook is told by the chart. */
export interface AdmissionSettings {
  /** Where it listens (`RISKMODEL_WEBHOOK_PORT`). */
  port: number;
  certificate:
    | {
        /** The name the webhook is called by, `SERVICE.NAMESPACE.svc` (`RISKMODEL_WEBHOOK_SERVICE`). */
        host: string;
        /** The Secret of the operator's namespace that certificates are kept in (`RISKMODEL_WEBHOOK_SECRET`). */
        secret: { namespace: string; name: string };
        /** The ValidatingWebhookConfiguration that is told whom to trust (`RISKMODEL_WEBHOOK_CONFIGURATION`). */
        configuration: string;
      }
    /** Where cert-manager's Secret is mounted (`RISKMODEL_WEBHOOK_CERTIFICATE_FOLDER`). */
    | { folder: string };
}
