import { readFileSync } from 'node:fs';
import { parseManifests } from '@riskmodel/core/riskmodel/manifest.ts';
import type { RiskModel, RiskModelSpec } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';

const example = new URL('../../../../examples/credit-default/riskmodel.yaml', import.meta.url);

/** The example's RiskModel as the API server would hand it out, with parts of its spec replaced. */
export function makeModel(spec: Partial<RiskModelSpec> = {}, metadata: Partial<RiskModel['metadata']> = {}): RiskModel {
  const [model] = parseManifests(readFileSync(example, 'utf8'), 'riskmodel.yaml') as [RiskModel];
  return {
    ...model,
    metadata: {
      namespace: 'risk',
      uid: '5f0c7a1e-0000-4000-8000-000000000001',
      generation: 1,
      ...model.metadata,
      ...metadata,
    },
    spec: { ...model.spec, ...spec },
  };
}
