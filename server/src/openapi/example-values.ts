import type { Feature } from '@riskmodel/core/riskmodel/zz_generated.riskmodel.ts';

/** A value that the feature accepts, for examples. The manifest's own, where it gives one. */
export function exampleValue(feature: Feature): number | boolean {
  const { type, codes, minimum, maximum, whenMissing } = feature;
  if (whenMissing === 'Default' && feature.default !== undefined) return feature.default;
  if (type === 'Boolean') return false;
  // 0 often stands for "unknown" among codes.
  if (type === 'Categorical') return codes?.find((code) => code > 0) ?? codes?.[0] ?? 0;
  const value = between(minimum, maximum);
  return type === 'Integer' ? Math.round(value) : value;
}

/** Without an upper limit a value is an amount, and this is one. */
const someAmount = 1_000;

/** Zero where values may be negative, else a number a little above the lower limit. */
function between(minimum: number | undefined, maximum: number | undefined): number {
  if (minimum === undefined || minimum < 0) {
    return maximum === undefined && minimum === undefined ? someAmount : Math.min(0, maximum ?? 0);
  }
  return minimum + (maximum === undefined ? someAmount : Math.floor((maximum - minimum) / 4));
}

/** A record of plausible values, by feature name. */
export function exampleRecord(features: readonly Feature[]): Record<string, number | boolean> {
  return Object.fromEntries(features.map((feature) => [feature.name, exampleValue(feature)]));
}
