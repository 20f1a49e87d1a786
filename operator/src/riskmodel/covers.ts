/**
 * Whether `live` already has everything that `desired` says. What `desired` does not mention may be anything: it is
 * the server's default, or somebody else's. An empty object is as good as none, since the server may leave it out.
 */
export function covers(live: unknown, desired: unknown): boolean {
  return coversAt(live, desired, false);
}

function coversAt(live: unknown, desired: unknown, areQuantities: boolean): boolean {
  if (desired === undefined) return true;
  if (Array.isArray(desired)) {
    if (!Array.isArray(live)) return desired.length === 0 && live === undefined;
    return live.length === desired.length && desired.every((item, index) => coversAt(live[index], item, areQuantities));
  }
  if (isRecord(desired)) {
    const entries = Object.entries(desired);
    if (!isRecord(live)) return live === undefined && entries.every(([, value]) => value === undefined);
    return entries.every(([key, value]) => coversAt(live[key], value, areQuantities || key === 'resources'));
  }
  if (live === desired) return true;
  if (desired === '' && live === undefined) return true;
  return areQuantities && isSameQuantity(live, desired);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const factors: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** `500m` is `0.5`: the server writes quantities in a form of its own. */
function isSameQuantity(a: unknown, b: unknown): boolean {
  const [x, y] = [quantity(a), quantity(b)];
  return x !== undefined && y !== undefined && Math.abs(x - y) <= 1e-9 * Math.max(Math.abs(x), Math.abs(y));
}

function quantity(value: unknown): number | undefined {
  const match = /^([+-]?[0-9.]+)(?:[eE]([+-]?[0-9]+))?([numkMGTPE]|[KMGTPE]i)?$/.exec(String(value));
  if (match === null) return undefined;
  const [, number, exponent = '0', suffix = ''] = match;
  return Number(number) * 10 ** Number(exponent) * (factors[suffix] as number);
}
