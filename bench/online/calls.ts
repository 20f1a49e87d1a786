import type { Applicant, Workbench } from '../workbench.ts';

/** What is asked: one record by feature name, or a tensor of one row or of a hundred in the Open Inference Protocol. */
export type CallName = 'record' | 'oip' | 'oip100';

export const callTitles: Record<CallName, string> = {
  record: 'POST /risk-online-prediction, one applicant',
  oip: 'Open Inference Protocol, JSON, 1 row',
  oip100: 'Open Inference Protocol, JSON, 100 rows',
};

const rowsOf: Record<CallName, number> = { record: 1, oip: 1, oip100: 100 };

/**
 * The lines of a load's file: a body, a tab, the probabilities that are expected, as JSON writes them.
 * @param output the output that a server has to be asked for by name, if any
 */
export function callLines({ features, applicants }: Workbench, call: CallName, output?: string): string {
  const groups = applicants.map((_, first) =>
    Array.from({ length: rowsOf[call] }, (__, i) => applicants[(first + i) % applicants.length] as Applicant),
  );
  return groups
    .map((group) => {
      const expected = group.flatMap(({ probabilities }) => probabilities).join(',');
      const body = call === 'record' ? recordOf(features, group[0] as Applicant) : inferenceOf(features, group, output);
      return `${JSON.stringify(body)}\t${expected}`;
    })
    .join('\n');
}

function recordOf(features: readonly string[], { values }: Applicant): object {
  return Object.fromEntries(features.map((name, i) => [name, values[i]]));
}

function inferenceOf(features: readonly string[], group: readonly Applicant[], output?: string): object {
  const data = group.flatMap(({ values }) => values);
  return {
    inputs: [{ name: 'input', datatype: 'FP32', shape: [group.length, features.length], data }],
    ...(output !== undefined && { outputs: [{ name: output }] }),
  };
}
