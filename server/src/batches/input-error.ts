/** Codes of failures that lie in a batch's input, so that another input is what helps. */
const inputErrorCodes = new Set([
  'EmptyInput',
  'InputChanged',
  'InputUnreadable',
  'InvalidCsv',
  'InvalidGzip',
  'InvalidJson',
  'InvalidParquet',
  'InvalidUri',
  'MissingColumns',
  'MisspelledColumn',
  'MixedFiles',
  'RecordTooLong',
  'RecordsTooLarge',
  'ReservedColumn',
  'TableTypeConflict',
  'TooManyChunks',
  'TooManyColumns',
  'TooManyFiles',
  'TooManyRejects',
  'UnsupportedColumnName',
  'UnsupportedColumnType',
  'UnsupportedTable',
]);

/** Whether a batch failed for its input's sake, and not for the service's. */
export function inputError(code: string): boolean {
  return inputErrorCodes.has(code);
}
