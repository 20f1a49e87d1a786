import { createHash } from 'node:crypto';
import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';

/**
 * The name of the revision that a manifest asks for: 8 hexadecimal digits of a digest over the pods it would run and
 * the manifest they would read. Whatever changes an answer, or a pod, is another revision; how many pods there are,
 * and how batches are scored, is not.
 *
 * @param podTemplate the serving pods without anything that carries the revision's name
 */
export function revisionName(manifest: RevisionManifest, podTemplate: unknown): string {
  const text = canonicalJson({ manifest, podTemplate });
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** The part of a RiskModel that serving pods read; the rest can change without a new revision. */
export interface RevisionManifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string };
  spec: Pick<RiskModel['spec'], 'artifact' | 'features' | 'decision' | 'identifier' | 'target'> & {
    online: Pick<RiskModel['spec']['online'], 'cache' | 'features'>;
  };
}

export function revisionManifest(model: RiskModel): RevisionManifest {
  const { artifact, features, decision, identifier, target, online } = model.spec;
  return {
    apiVersion: model.apiVersion,
    kind: model.kind,
    metadata: { name: model.metadata.name, namespace: model.metadata.namespace ?? 'default' },
    spec: {
      artifact,
      features,
      decision,
      ...(identifier === undefined ? {} : { identifier }),
      ...(target === undefined ? {} : { target }),
      online: {
        ...(online.cache === undefined ? {} : { cache: online.cache }),
        ...(online.features === undefined ? {} : { features: online.features }),
      },
    },
  };
}

/** JSON whose bytes don't depend on the order of keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
