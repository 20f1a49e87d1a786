import { messageOf } from '@riskmodel/core/errors.ts';
import { UsageError } from './errors.ts';

/**
 * The rows of a JSON text, as the text of one JSON array: the text is a row, an array of rows, or a row a line
 * (NDJSON). The rows' own text is kept, since reading and writing it again would change numbers beyond 2^53.
 *
 * @param source what to begin an error with, such as `--data`
 * @throws UsageError naming the line that is not JSON
 */
export function jsonRows(text: string, source: string): string {
  const whole = parse(text);
  if ('value' in whole) {
    const rows = Array.isArray(whole.value) && !isRow(whole.value) ? text.trim() : `[${text.trim()}]`;
    if (Array.isArray(whole.value) && whole.value.length === 0) throw new UsageError(`${source}: has no rows`);
    return rows;
  }
  const lines = text.split('\n').map((line) => line.trim());
  const filled = lines.filter((line) => line !== '');
  if (filled.length === 0) throw new UsageError(`${source}: is empty; expected a JSON object or an array of them`);
  // When not even the first line is JSON, the lines are no rows: what the whole text lacks says more.
  if ('problem' in parse(filled[0] as string)) throw new UsageError(`${source}: is not JSON: ${whole.problem}`);
  for (const [i, line] of lines.entries()) {
    const parsed = line === '' ? undefined : parse(line);
    if (parsed && 'problem' in parsed) throw new UsageError(`${source}, line ${i + 1}: is not JSON: ${parsed.problem}`);
  }
  return `[${filled.join(',')}]`;
}

/** A row may be an array of numbers, in the order of the features. */
function isRow(value: unknown[]): boolean {
  return value.length > 0 && value.every((item) => typeof item !== 'object');
}

function parse(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
