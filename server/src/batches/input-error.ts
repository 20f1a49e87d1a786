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
  'RecordTooLong',
  'RecordsTooLarge',
  'ReservedColumn',
  'TableTypeConflict',
  'TooManyColumns',
  'TooManyRejects',
  'UnsupportedColumnType',
]);

/** Whether a batch failed for its input's sake, and not for the service's. */
export function inputError(code: string): boolean {
  return inputErrorCodes.has(code);
}
