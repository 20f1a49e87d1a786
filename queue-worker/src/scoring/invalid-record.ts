import { buffer } from 'node:stream/consumers';
import { RiskModelError } from '@riskmodel/core/errors.ts';
import type { ObjectStore } from '@riskmodel/core/storage/object-store.ts';
import { fileOf, invalidRecord, parseObject, type ChunkRange, type InputPlan } from '../input/plan-input.ts';
import { ArrayScanner, LineScanner, type OnRecord } from '../input/record-scanner.ts';

/**
 * The error for a chunk that DuckDB could not read: it names the first record that is no JSON object, by index and
 * byte. DuckDB's own message quotes the input, which must not get into logs, so it is not passed on.
 */
export async function explainUnreadable(
  input: InputPlan,
  chunk: ChunkRange,
  store: ObjectStore,
): Promise<RiskModelError> {
  const invalid =
    input.format === 'json' || input.format === 'ndjson' ? await findInvalid(input, chunk, store) : undefined;
  if (invalid !== undefined) {
    const error = invalidRecord(chunk.firstInFile + invalid.record, chunk.start + invalid.start);
    return input.files.length === 1
      ? error
      : new RiskModelError(error.code, `${fileOf(input, chunk).object.uri}: ${error.message}`);
  }
  const last = chunk.firstRecord + chunk.records - 1;
  return new RiskModelError(
    'InputUnreadable',
    `${fileOf(input, chunk).object.uri} can't be read as ${input.format}, somewhere in records ${chunk.firstRecord} to ${last}`,
  );
}

async function findInvalid(
  input: InputPlan,
  chunk: ChunkRange,
  store: ObjectStore,
): Promise<{ record: number; start: number } | undefined> {
  const text = await buffer(await store.read(fileOf(input, chunk).object, chunk));
  const isArray = input.format === 'json';
  // Within a chunk of an array there are only its elements, so it is given brackets to be an array again.
  const whole = isArray ? Buffer.concat([Buffer.from('['), text, Buffer.from(']')]) : text;
  let record = 0;
  let invalid: { record: number; start: number } | undefined;
  const onRecord: OnRecord = (start, end) => {
    if (invalid === undefined && parseObject(whole.subarray(start, end).toString()) === undefined) {
      invalid = { record, start: isArray ? start - 1 : start };
    }
    record++;
  };
  const scanner = isArray ? new ArrayScanner(onRecord) : new LineScanner(onRecord, { csv: false });
  scanner.push(whole);
  scanner.end();
  return invalid;
}
