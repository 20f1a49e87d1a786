import type { RiskModel } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';
import { controllerReference, type KubeObject, type ObjectMeta } from '../../kube/object.ts';
import { modelLabels } from '../labels.ts';

/** `metadata` of an object that belongs to a model and goes with it. */
export function ownedMetadata(model: RiskModel, name: string, extra: Record<string, string> = {}): ObjectMeta {
  return {
    name,
    namespace: model.metadata.namespace ?? 'default',
    labels: { ...modelLabels(model.metadata.name), ...extra },
    ownerReferences: [controllerReference(model as unknown as KubeObject)],
  };
}
