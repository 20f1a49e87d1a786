import { createHash } from 'node:crypto';
import { RiskModelError } from '../errors.ts';
import { refusalOf, type BigQueryApi, type Purpose } from './bigquery-api.ts';
import { explainFailure, isPassing, type ErrorProto } from './bigquery-failure.ts';

/** A job of BigQuery that is to be done once, by however many programs. */
export interface OnceJob {
  /** Decides the job's id: see `jobId`. */
  id: string;
  /** Where it runs: that of its dataset. */
  location: string;
  /** `JobConfiguration` of BigQuery's REST API. */
  configuration: object;
  purpose: Purpose;
  /**
   * Told what the query is billed for, when it was done for this call. Of one whose starter was killed nobody is told.
   */
  onBytesBilled?: (bytes: number) => void;
}

interface JobResource {
  status?: { state?: string; errorResult?: ErrorProto };
  statistics?: { query?: { totalBytesBilled?: string } };
}

/** Times that one call has a job done anew which failed for a reason that passes. */
const mostFailures = 5;
const firstPoll = 100;
const slowestPoll = 5_000;
const pollsWithoutJob = 10;

/**
 * An id that says what the job does, and that two jobs share only when they are to be one. BigQuery takes letters,
 * digits, dashes and underscores.
 *
 * @param subject what it is done to and for, such as dataset, table and commit; the last is named in the id
 */
export function jobId(kind: string, subject: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(subject)).digest('hex').slice(0, 16);
  const name = (subject.at(-1) ?? '').replaceAll(/[^\w-]/g, '_').slice(0, 200);
  return `riskmodel-${kind}-${name}-${digest}`;
}

/**
 * Has a job done, once. Its id is its name: whoever comes second is told that it is there (409), and waits for it
 * instead. BigQuery's jobs do all of their work or none. One that failed for a reason that passes is done anew under
 * the next id (`ID_2`, ...); since it stays failed, all come to the same next id.
 *
 * BigQuery remembers jobs for half a year; a batch is remembered for a month, so that nothing is committed later.
 *
 * @param timeout milliseconds to wait; afterwards the job goes on, and who asks again finds it
 * @returns whether it was done for this call; `false` when it had been done, or was being done, for another
 * @throws RiskModelError with BigQuery's reason and message
 */
export async function runOnce(api: BigQueryApi, job: OnceJob, timeout: number): Promise<boolean> {
  const { action, needed } = job.purpose;
  const deadline = api.clock.now() + timeout;
  let failures = 0;
  for (let number = 1; ; number++) {
    const id = number === 1 ? job.id : `${job.id}_${number}`;
    const isOurs = await insert(api, id, job);
    const { status, statistics } = await waitFor(api, id, job, deadline);
    // Failed ones may be billed too.
    if (isOurs) job.onBytesBilled?.(Number(statistics?.query?.totalBytesBilled ?? 0));
    const error = status?.errorResult;
    if (error === undefined) return isOurs;
    const mayPass = isPassing(error) || error.reason === 'quotaExceeded';
    // Somebody found out about this one; what made it fail may have passed since.
    if (mayPass && !isOurs) continue;
    failures++;
    if (!isPassing(error) || failures === mostFailures) throw explainFailure(`${action} (job ${id})`, error, needed);
    await api.pause(1_000 * 2 ** failures);
  }
}

/** Whether the job was not there yet. */
async function insert(api: BigQueryApi, id: string, { location, configuration, purpose }: OnceJob): Promise<boolean> {
  const jobReference = { projectId: await api.findProject(), jobId: id, location };
  try {
    await api.call({ method: 'POST', uri: '/jobs', json: { jobReference, configuration } }, purpose, [409]);
    return true;
  } catch (error) {
    refusalOf(error);
    return false;
  }
}

/** Waits until the job has ended: with an error or without. */
async function waitFor(
  api: BigQueryApi,
  id: string,
  { location, purpose }: OnceJob,
  deadline: number,
): Promise<JobResource> {
  const asking: Purpose = { ...purpose, action: `${purpose.action} (asking for job ${id})` };
  for (let pause = firstPoll, polls = 1; ; pause = Math.min(pause * 1.5, slowestPoll), polls++) {
    // A job may take a moment until it is seen everywhere.
    const expected = polls > pollsWithoutJob ? [] : [404];
    const job = await api
      .call<JobResource>({ method: 'GET', uri: `/jobs/${id}`, qs: { location } }, asking, expected)
      .catch(neverMind);
    if (job?.status?.state === 'DONE') return job;
    if (api.clock.now() >= deadline) {
      throw new RiskModelError(
        'BigQueryUnavailable',
        `${purpose.action}: job ${id} has not ended and is waited for no longer; it goes on, and is found by the next try`,
        { retry: 'later' },
      );
    }
    await api.pause(pause);
  }
}

/** Takes a refusal for no answer. */
function neverMind(error: unknown): undefined {
  refusalOf(error);
}

/** Labels of a job, by which its cost can be told apart. BigQuery takes 63 lower-case letters, digits, dashes, underscores. */
export function labels(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      value
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]/g, '_')
        .slice(0, 63),
    ]),
  );
}
