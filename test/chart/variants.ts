import type { Values } from './helm-chart.ts';

/** Every kind of installation that values.yaml speaks of. */
export const variants: [name: string, values: Values][] = [
  ['default values', {}],
  ['one namespace, the release’s own', { scope: 'Namespaced' }],
  ['one namespace, another', { scope: 'Namespaced', watchNamespace: 'credit' }],
  ['a Redis without a password', { redis: { url: 'rediss://redis.example:6380/1' } }],
  ['a Redis whose URL is in a Secret', { redis: { existingSecret: { name: 'queue', key: 'REDIS' } } }],
  ['a bundled Redis that forgets', { redis: { bundled: { persistence: { enabled: false } } } }],
  ['several namespaces of models', { modelNamespaces: ['credit', 'fraud'], storage: { create: { enabled: true } } }],
  ['an image by digest', { image: { repository: 'registry.example/riskmodel', digest: `sha256:${'0'.repeat(64)}` } }],
  ['a Gateway', { models: { gateway: { name: 'public', namespace: 'edge' } } }],
  ['Workload Identity', { models: { serviceAccountAnnotations: { 'iam.gke.io/gcp-service-account': 'a@b' } } }],
  ['monitoring by Google', { metrics: { podMonitoring: { enabled: true } } }],
  ['monitoring by the Prometheus Operator', { metrics: { serviceMonitor: { enabled: true, labels: { a: 'b' } } } }],
  ['a dashboard', { dashboard: { enabled: true, namespace: 'grafana', annotations: { grafana_folder: 'Risk' } } }],
  [
    'Google Cloud',
    {
      backend: 'gcp',
      gcp: {
        project: 'bank-risk',
        staging: 'gs://staging/risk',
        bigQuery: { location: 'EU', maximumBytesBilled: 1e12 },
      },
      storage: { create: { enabled: true } },
      triggers: {
        subscription: 'projects/bank-risk/subscriptions/riskmodel',
        deadLetterTopic: 'projects/bank-risk/topics/riskmodel-dead',
      },
    },
  ],
  ['alerts in Google’s Prometheus', { alerts: { enabled: true } }],
  ['alerts in the Prometheus Operator', { alerts: { enabled: true, kind: 'PrometheusRule', labels: { a: 'b' } } }],
  ['no webhook', { webhook: { enabled: false } }],
  [
    'a webhook that must answer',
    { webhook: { failurePolicy: 'Fail', port: 10250, namespaceSelector: { matchLabels: { a: 'b' } } } },
  ],
  ['a certificate by cert-manager', { webhook: { certManager: { enabled: true } } }],
  ['a certificate by an issuer', { webhook: { certManager: { enabled: true, issuerRef: { name: 'ours' } } } }],
  ['no CRDs', { crds: { install: false } }],
  ['no roles', { rbac: { create: false, userRoles: false }, serviceAccount: { create: false, name: 'ours' } }],
  [
    'everything about the operator’s pods',
    {
      imagePullSecrets: [{ name: 'registry' }],
      operator: {
        replicas: 3,
        extraEnv: [{ name: 'TZ', value: 'UTC' }],
        podLabels: { team: 'risk' },
        podAnnotations: { a: 'b' },
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
        tolerations: [{ operator: 'Exists' }],
        affinity: { nodeAffinity: {} },
        priorityClassName: 'system-cluster-critical',
      },
    },
  ],
  [
    'Secrets of the image’s registry',
    { imagePullSecrets: [{ name: 'registry' }], models: { imagePullSecrets: [{ name: 'registry' }] } },
  ],
];
