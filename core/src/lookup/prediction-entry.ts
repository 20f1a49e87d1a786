import { RiskModelError } from '../errors.ts';

/** A record's latest prediction, as it is looked up by the record's identifier. */
export interface StoredPrediction {
  prob0: number;
  prob1: number;
  decision: 0 | 1;
  /** The batch that made it. */
  batchId: string;
  modelVersion: string;
  /** ISO 8601 in UTC. */
  predDatetime: string;
}

/** What all predictions of a batch have in common. */
export type PredictionSource = Pick<StoredPrediction, 'batchId' | 'modelVersion' | 'predDatetime'>;

/*
 * An entry in bytes: when (6: milliseconds since 1970, big-endian), batch (16: its UUID), prob_0 and prob_1 (4 each: the
 * float32 that left the model), decision (1), model version (the rest: UTF-8). When and batch come first, so that
 * entries compare, byte by byte, as the predictions follow each other; with a version of up to 13 bytes Redis keeps an
 * entry in one piece of memory with its header.
 */
const timeBytes = 6;
const batchBytes = 16;
/** The bytes that all of a batch's entries begin with, and by which entries are compared. */
export const headBytes = timeBytes + batchBytes;
/** The bytes of an entry that are the record's own. */
export const scoreBytes = 9;

/** Throws `InvalidBatchId` for an id that is no UUID; every batch's is one. */
export function encodeHead({ predDatetime, batchId }: PredictionSource): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntBE(Date.parse(predDatetime), 0, timeBytes);
  const hex = batchId.replaceAll('-', '');
  if (!/^[\da-f]{32}$/.test(hex)) {
    throw new RiskModelError('InvalidBatchId', `a prediction's batch must be a UUID: "${batchId}"`);
  }
  head.write(hex, timeBytes, 'hex');
  return head;
}

/** Writes a record's part of its entry as number `index` of `scores`, which has `scoreBytes` for each. */
export function encodeScore(scores: Buffer, index: number, prob0: number, prob1: number, decision: number): void {
  const at = index * scoreBytes;
  scores.writeFloatLE(prob0, at);
  scores.writeFloatLE(prob1, at + 4);
  scores.writeUInt8(decision, at + 8);
}

/** The prediction of an entry; undefined for bytes that are none. */
export function decodeEntry(entry: Buffer): StoredPrediction | undefined {
  if (entry.length < headBytes + scoreBytes) return undefined;
  const hex = entry.toString('hex', timeBytes, headBytes);
  return {
    prob0: entry.readFloatLE(headBytes),
    prob1: entry.readFloatLE(headBytes + 4),
    decision: entry.readUInt8(headBytes + 8) === 1 ? 1 : 0,
    batchId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    modelVersion: entry.toString('utf8', headBytes + scoreBytes),
    predDatetime: new Date(entry.readUIntBE(0, timeBytes)).toISOString(),
  };
}
