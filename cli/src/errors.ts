/** A command that failed (exit code 1). The message is the one line that people see: what failed and what to do. */
export class CommandError extends Error {
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
  }
}

/** A command that failed and has told why already, because there was something to do before its end. */
export class ToldError extends CommandError {}

/** A command that was called wrongly (exit code 2). */
export class UsageError extends CommandError {
  override readonly exitCode = 2;
}
