import { stringify } from 'yaml';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { eventually } from '../eventually.ts';
import { ensurePublishedCrd } from './published-crds.ts';

/** An API that a cluster may have. */
export interface OptionalApi {
  apiVersion: string;
  kind: string;
  plural: string;
  /** Whether its objects are in namespaces; they are when absent. */
  namespaced?: boolean;
}

/** Installs an API by its project's own CRD, or where that can't be had by one that takes anything. */
export async function installApi(plane: ControlPlane, api: OptionalApi): Promise<void> {
  const name = `${api.plural}.${api.apiVersion.split('/')[0]}`;
  const published = await ensurePublishedCrd(name);
  // Server-side, since some are too long for the annotation that is made otherwise.
  const from = published === undefined ? { input: stringify(makeOpenCrd(name, api)) } : {};
  await plane.kubectl.run(['apply', '--server-side', '-f', published ?? '-'], from);
  // For a moment a CRD has no conditions, for which kubectl does not wait.
  await eventually(async () => {
    await plane.kubectl.run(['wait', '--for=condition=Established', `crd/${name}`]);
  });
}

function makeOpenCrd(crdName: string, { apiVersion, kind, plural, namespaced = true }: OptionalApi): object {
  const [group = '', name = ''] = apiVersion.split('/');
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  };
}
