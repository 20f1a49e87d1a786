import type { KubeClient } from '../kube/client.ts';
import { riskModels } from '../riskmodel/resource-types.ts';
import type { HasModel } from './batchprediction-checks.ts';

/** A warning is not worth more: the API server waits for the answer. */
const patienceMs = 1_000;

/** Asks the API server for models, and says nothing of one when that fails or takes long. */
export function modelLookup(client: Pick<KubeClient, 'get'>, timeoutMs = patienceMs): HasModel {
  return async (namespace, name) => {
    try {
      return (await client.get(riskModels, { namespace, name }, AbortSignal.timeout(timeoutMs))) !== undefined;
    } catch {
      return undefined;
    }
  };
}
