import { HelmChart, release, releaseNamespace, type RenderedObject, type Values } from '../chart/helm-chart.ts';
import type { AuditEvent } from '../harness/cluster/audit-log.ts';
import { ensureBinaries } from '../harness/cluster/binaries.ts';
import type { ControlPlane } from '../harness/cluster/control-plane.ts';

const accountName = `${release}-risk-model-operator`;
/** The operator's service account, as `NAMESPACE/NAME`. */
export const operatorAccount = `${releaseNamespace}/${accountName}`;
const operatorUser = `system:serviceaccount:${releaseNamespace}:${accountName}`;

const roleKinds = new Set(['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
/** Objects that the operator finds and has no right to make. */
const foundNames = new Set([`${release}-risk-model-webhook-certificate`]);

export async function renderChart(values: Values = {}): Promise<RenderedObject[]> {
  const { helm } = await ensureBinaries(['helm'], (line) => process.stderr.write(`  ${line}\n`));
  return new HelmChart(helm).render(values);
}

/** Makes the operator's service account, and gives it what the rendered chart gives it and nothing else. */
export async function grantRights(plane: ControlPlane, objects: readonly RenderedObject[]): Promise<void> {
  const items = objects.filter(({ kind, metadata }) => roleKinds.has(kind) || foundNames.has(metadata.name));
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await plane.kubectl.run(['apply', '--server-side', '-f', '-'], { input });
}

/** The rights that the rendered chart binds to the operator, each as `VERB RESOURCE[/SUBRESOURCE][.GROUP]`. */
export function grantedRights(objects: readonly RenderedObject[]): Set<string> {
  const bound = new Set(
    objects
      .filter(({ subjects = [] }) => subjects.some(({ name }) => name === accountName))
      .map(({ roleRef }) => `${roleRef?.kind} ${roleRef?.name}`),
  );
  const rules = objects
    .filter(({ kind, metadata }) => bound.has(`${kind} ${metadata.name}`))
    .flatMap(({ rules: own = [] }) => own);
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => right(verb, resource, group)))),
    ),
  );
}

/** The operator's requests, the oldest first. */
export function callsOfOperator(events: readonly AuditEvent[]): AuditEvent[] {
  return events.filter(({ user }) => user.username === operatorUser);
}

/** The rights that requests needed: server-side apply needs `create` as well where there was no object. */
export function usedRights(calls: readonly AuditEvent[]): Set<string> {
  const used = calls.flatMap(({ verb, objectRef: ref, responseStatus }) => {
    if (ref?.resource === undefined) return [];
    const resource = ref.subresource === undefined ? ref.resource : `${ref.resource}/${ref.subresource}`;
    const verbs = verb === 'patch' && responseStatus?.code === 201 ? ['create', 'patch'] : [verb];
    return verbs.map((each) => right(each, resource, ref.apiGroup ?? ''));
  });
  return new Set(used);
}

/** The requests that were not allowed, each with its right and the server's reason. */
export function refusedCalls(calls: readonly AuditEvent[]): string[] {
  const refused = calls.filter(
    ({ responseStatus, annotations }) =>
      responseStatus?.code === 403 || annotations?.['authorization.k8s.io/decision'] === 'forbid',
  );
  return refused.map(({ verb, requestURI, annotations }) =>
    [verb, requestURI, annotations?.['authorization.k8s.io/reason']].join(' ').trim(),
  );
}

function right(verb: string, resource: string, group: string): string {
  return `${verb} ${group === '' ? resource : `${resource}.${group}`}`;
}
