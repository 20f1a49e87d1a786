import { setTimeout as sleep } from 'node:timers/promises';
import { SingleBar } from 'cli-progress';
import { isFinal, type Batch } from '@riskmodel/core/batches/batch.ts';
import { ServerUnreachable, type ApiClient } from './api-client.ts';
import { batchSeconds, formatCount, formatRows } from './batch-text.ts';
import { commandLine } from './command-line.ts';
import { CommandError } from './errors.ts';
import { printLine, type TextOutput } from './terminal.ts';

/** Small batches take less than a second, so the first answers are asked for often. */
const fastPollMs = 50;
const slowPollMs = 500;
const fastPolls = 40;
/** A server that is being replaced comes back within this time. */
const unreachableMs = 30_000;

export interface WatchOptions {
  client: ApiClient;
  /** Where the progress is shown: a bar on a terminal, else a line for each state. */
  output: TextOutput;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

/** Shows a batch's progress until it has ended, and returns it as it then is. Stopping to watch does not stop it. */
export async function watchBatch(batch: Batch, { client, output, env, signal }: WatchOptions): Promise<Batch> {
  const progress = output.isTTY ? new ProgressBar(output) : new StateLines(output);
  let current = batch;
  let reachedAt = Date.now();
  try {
    for (let polls = 0; ; polls++) {
      progress.show(current);
      if (isFinal(current.state)) return current;
      await sleep(polls < fastPolls ? fastPollMs : slowPollMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) {
        const [get, cancel] = ['get', 'cancel'].map((verb) =>
          commandLine(['batch', verb, batch.id], { url: client.url, env }),
        );
        throw new CommandError(`batch ${batch.id} goes on: see "${get}", or call it off with "${cancel}"`);
      }
      try {
        current = await client.getBatch(batch.id);
        reachedAt = Date.now();
      } catch (error) {
        if (signal.aborted) continue;
        if (!(error instanceof ServerUnreachable) || Date.now() - reachedAt > unreachableMs) throw error;
      }
    }
  } finally {
    progress.end();
  }
}

interface Progress {
  show(batch: Batch): void;
  end(): void;
}

/** A line for each state that is seen, for logs. */
class StateLines implements Progress {
  readonly #output: TextOutput;
  #lastState: string | undefined;

  constructor(output: TextOutput) {
    this.#output = output;
  }

  show({ id, state, rows: { total } }: Batch): void {
    if (state === this.#lastState) return;
    this.#lastState = state;
    printLine(this.#output, `batch ${id}: ${state}${total === null ? '' : ` (${formatRows(total)})`}`);
  }

  end(): void {}
}

/** A bar of the rows that are scored, with their number, speed and the batch's state. */
class ProgressBar implements Progress {
  readonly #bar: SingleBar;
  #started = false;

  constructor(output: TextOutput) {
    this.#bar = new SingleBar({
      stream: output as NodeJS.WriteStream,
      format: '[{bar}] {percentage}% | {rows} | {speed} | {state}',
      barCompleteChar: '=',
      barIncompleteChar: ' ',
      barsize: 30,
      // Nothing that an abrupt end would leave the terminal with.
      hideCursor: false,
      linewrap: true,
      // Signals are handled elsewhere.
      gracefulExit: false,
      stopOnComplete: false,
    });
  }

  show(batch: Batch): void {
    const { rows, state } = batch;
    const seen = rows.done + rows.failed;
    const seconds = batchSeconds(batch, new Date());
    const total = Math.max(rows.total ?? 0, seen, 1);
    const values = {
      rows: `${formatCount(seen)} of ${rows.total === null ? '? rows' : formatRows(rows.total)}`,
      speed: seconds && seen > 0 ? `${formatCount(Math.round(seen / seconds))} rows/s` : '- rows/s',
      state,
    };
    if (!this.#started) this.#bar.start(total, seen, values);
    this.#started = true;
    this.#bar.setTotal(total);
    this.#bar.update(seen, values);
  }

  end(): void {
    if (this.#started) this.#bar.stop();
  }
}
