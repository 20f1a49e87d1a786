import { RiskModelError } from '@riskmodel/core/errors.ts';
import { LineScanner, longestRecord } from './record-scanner.ts';

export interface CsvDialect {
  delimiter: string;
}

export interface CsvHeader {
  columns: string[];
  dialect: CsvDialect;
  /** Offset of the first byte after the header. */
  end: number;
}

const delimiters = [',', ';', '\t', '|'];

/**
 * Reads the first line of a CSV file: the names of its columns, and by them the delimiter (comma, semicolon, tab or
 * bar, whichever the line has most of outside quotes).
 *
 * @param head the file's first bytes, one more than the longest record at most
 * @throws RiskModelError `InvalidCsv`, `RecordTooLong`
 */
export function readHeader(head: Buffer): CsvHeader {
  const start = head.subarray(0, 3).toString('hex') === 'efbbbf' ? 3 : 0;
  const { end, line } = firstRecord(head, start);
  const delimiter = commonest(line);
  const columns = splitLine(line, delimiter);
  const unnamed = columns.findIndex((name) => name === '');
  if (unnamed !== -1) throw invalidHeader(`column ${unnamed + 1} has no name`);
  return { columns, dialect: { delimiter }, end };
}

function firstRecord(head: Buffer, start: number): { end: number; line: string } {
  const found: { start: number; end: number }[] = [];
  const scanner = new LineScanner((from, to) => found.push({ start: from, end: to }), { csv: true, offset: start });
  // In pieces, since what comes after the header need not be whole.
  for (let at = start; at < head.length && found.length === 0; at += 1 << 16) {
    scanner.push(head.subarray(at, Math.min(head.length, at + (1 << 16))));
  }
  if (found.length === 0 && head.length <= longestRecord) scanner.end();
  const [header] = found;
  if (header === undefined) throw invalidHeader('there is no line that names the columns');
  const line = head.subarray(header.start, header.end).toString('utf8');
  return { end: header.end, line: line.replace(/\r?\n$/, '') };
}

function commonest(line: string): string {
  const unquoted = line.replaceAll(/"[^"]*"/g, '');
  const count = (delimiter: string): number => unquoted.split(delimiter).length - 1;
  return delimiters.reduce((best, candidate) => (count(candidate) > count(best) ? candidate : best));
}

/** The values of one line (RFC 4180). */
function splitLine(line: string, delimiter: string): string[] {
  const values: string[] = [];
  let value = '';
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const character = line[i] as string;
    if (quoted) {
      if (character !== '"') value += character;
      else if (line[i + 1] === '"') value += line[++i];
      else quoted = false;
    } else if (character === '"' && value === '') quoted = true;
    else if (character === delimiter) {
      values.push(value);
      value = '';
    } else value += character;
  }
  return [...values, value].map((name) => name.trim());
}

function invalidHeader(why: string): RiskModelError {
  return new RiskModelError('InvalidCsv', `the first line of a CSV file must name its columns: ${why}`);
}
