/** The middle of the values, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Rates of several rounds: the one in the middle, and how far they are apart. */
export interface Spread {
  rate: number;
  slowest: number;
  fastest: number;
}

export function spreadOf(rates: readonly number[]): Spread {
  return { rate: median(rates), slowest: Math.min(...rates), fastest: Math.max(...rates) };
}
