// `spec.batch.schedules` as job schedulers of the model's queue: Redis holds what is due, so it comes up once however
// many workers there are. When one comes up, a worker starts its batch.
import { isDeepStrictEqual } from 'node:util';
import type { JobSchedulerJson, Queue } from 'bullmq';
import type { BatchSchedule } from '../riskmodel/zz_generated.riskmodel.ts';
import type { Batch } from './batch.ts';
import { submitBatch, type JobName, type SubmitDeps } from './queue.ts';

/** What a `schedule` job carries. */
export interface ScheduleJob {
  schedule: string;
  /** The input's URI, in which `{{date}}` stands for the day. */
  input: string;
  timeZone: string;
}

/** A job scheduler as far as it is compared with a schedule. */
export type Scheduler = Pick<JobSchedulerJson, 'key' | 'name' | 'pattern' | 'tz' | 'template'>;

/** What is to be done so that a queue has the schedulers that a model's schedules say. */
export interface ScheduleChanges {
  upsert: BatchSchedule[];
  /** Keys. */
  remove: string[];
}

const jobName: JobName = 'schedule';
/** One that came up may be on its way to a worker. */
const overdueMs = 1_000;

/** Setting a scheduler anew calls its due job off, so that one which is as it should be must be left alone. */
export function compareSchedules(
  schedulers: readonly Scheduler[],
  schedules: readonly BatchSchedule[],
): ScheduleChanges {
  const existing = new Map(schedulers.map((scheduler) => [scheduler.key, scheduler]));
  const wanted = new Set(schedules.map(({ name }) => name));
  return {
    upsert: schedules.filter((schedule) => !isUpToDate(existing.get(schedule.name), schedule)),
    remove: [...existing.keys()].filter((key) => !wanted.has(key)),
  };
}

function isUpToDate(scheduler: Scheduler | undefined, schedule: BatchSchedule): boolean {
  return (
    scheduler !== undefined &&
    scheduler.name === jobName &&
    scheduler.pattern === schedule.cron &&
    scheduler.tz === schedule.timeZone &&
    isDeepStrictEqual(scheduler.template?.data, makeScheduleJob(schedule))
  );
}

function makeScheduleJob({ name, input, timeZone }: BatchSchedule): ScheduleJob {
  return { schedule: name, input, timeZone };
}

/**
 * Makes the queue's job schedulers those of the model's schedules; what is as it should be is not written to. One whose
 * moment has passed while no worker was there is put in line, where whoever scales the workers sees it.
 * @returns when the first one comes up, or came up with no worker having taken it yet, in milliseconds since 1970;
 *   undefined when there is none
 */
export async function syncSchedules(
  queue: Queue,
  schedules: readonly BatchSchedule[],
  now: () => Date,
): Promise<number | undefined> {
  const before = await queue.getJobSchedulers();
  const { upsert, remove } = compareSchedules(before, schedules);
  for (const key of remove) await queue.removeJobScheduler(key);
  for (const schedule of upsert) await setScheduler(queue, schedule);
  const after = upsert.length + remove.length === 0 ? before : await queue.getJobSchedulers();
  const moments: number[] = [];
  for (const { key, next } of after) {
    const schedule = schedules.find(({ name }) => name === key);
    if (schedule === undefined || next === undefined) continue;
    if (next + overdueMs < now().getTime()) await wake(queue, schedule, next);
    moments.push(next);
  }
  return moments.length === 0 ? undefined : Math.min(...moments);
}

async function setScheduler(queue: Queue, schedule: BatchSchedule): Promise<void> {
  const { name, cron, timeZone } = schedule;
  await queue.upsertJobScheduler(
    name,
    { pattern: cron, tz: timeZone },
    { name: jobName, data: makeScheduleJob(schedule) },
  );
}

/** Delayed jobs are put in line by workers only; without any, nobody would know that one is needed. */
async function wake(queue: Queue, schedule: BatchSchedule, due: number): Promise<void> {
  const job = await queue.getJob(jobId(schedule.name, due));
  // Without its job nothing would ever move it on.
  if (job === undefined) return setScheduler(queue, schedule);
  if (!(await job.isDelayed())) return;
  await job.promote().catch(async (error: unknown) => {
    // A worker was quicker.
    if (await job.isDelayed()) throw error;
  });
}

/**
 * Starts the batch of a schedule that came up at `due`. Called again for the same moment it starts nothing.
 * @throws RiskModelError `IdempotencyKeyReused` when that moment's batch was started with another input
 */
export async function startScheduledBatch(
  model: string,
  { schedule, input, timeZone }: ScheduleJob,
  due: Date,
  deps: SubmitDeps,
): Promise<Batch> {
  return submitBatch(
    {
      model,
      input: expandInput(input, due, timeZone),
      idempotencyKey: `schedule/${schedule}/${due.toISOString()}`,
    },
    deps,
  );
}

/** Replaces each `{{date}}` by the day, YYYY-MM-DD, that it is in the time zone. */
export function expandInput(input: string, moment: Date, timeZone: string): string {
  return input.replaceAll('{{date}}', () => dayOf(moment, timeZone));
}

function dayOf(moment: Date, timeZone: string): string {
  const format = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const parts = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
  return `${parts['year']}-${parts['month']}-${parts['day']}`;
}

/** The moment for which a scheduler made a job, however late the job is taken. */
export function dueTime(job: { id?: string | undefined; timestamp: number }): Date {
  const millis = /^repeat:.*:(\d+)$/.exec(job.id ?? '')?.[1];
  return new Date(millis === undefined ? job.timestamp : Number(millis));
}

/** BullMQ's name for the job that a scheduler has made for a moment. */
function jobId(scheduler: string, due: number): string {
  return `repeat:${scheduler}:${due}`;
}
