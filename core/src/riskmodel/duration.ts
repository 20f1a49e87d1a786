import { RiskModelError } from '../errors.ts';

const unitMilliseconds: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * The milliseconds of a duration as manifests write it: whole numbers with a unit (`ms`, `s`, `m`, `h`), added up, such
 * as `30s` or `1h30m`.
 * @throws RiskModelError `InvalidDuration` when the text is none.
 */
export function parseDuration(text: string): number {
  if (!/^(?:\d+(?:ms|s|m|h))+$/.test(text)) {
    throw new RiskModelError('InvalidDuration', `Cannot read ${JSON.stringify(text)} as a duration such as 30s or 5m`);
  }
  let milliseconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h)/g)) {
    milliseconds += Number(count) * (unitMilliseconds[unit ?? ''] ?? Number.NaN);
  }
  return milliseconds;
}
