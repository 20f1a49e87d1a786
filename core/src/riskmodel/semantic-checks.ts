import { CronExpressionParser } from 'cron-parser';
import { messageOf } from '../errors.ts';
import { findUriProblem } from '../storage/gs-uri.ts';
import { childPath } from './problem.ts';
import type { Problem } from './problem.ts';
import type { RiskModel } from './zz_generated.riskmodel.ts';

/**
 * What a CRD's schema can't say: for the cluster's admission webhook as for local mode. Each check is given a model that
 * the schema has passed and looks at nothing else: no file, no network.
 */
const checks: ((model: RiskModel) => Problem[])[] = [
  findFeaturesThatDifferInCase,
  findUnknownTimeZones,
  findBadCronExpressions,
  findImpossibleUris,
];

/** The problems that all semantic checks find in a model that its schema has passed. */
export function checkSemantics(model: RiskModel): Problem[] {
  return checks.flatMap((check) => check(model));
}

/** Features become columns, and BigQuery doesn't tell AGE from age. (A CEL rule would compare each with each.) */
function findFeaturesThatDifferInCase({ spec }: RiskModel): Problem[] {
  const firstIndex = new Map<string, number>();
  const problems: Problem[] = [];
  for (const [index, { name }] of spec.features.entries()) {
    const first = firstIndex.get(name.toLowerCase());
    if (first === undefined) {
      firstIndex.set(name.toLowerCase(), index);
    } else {
      problems.push({
        path: childPath(childPath('spec.features', index), 'name'),
        message: `must differ in more than case from "${spec.features[first]?.name}" (spec.features[${first}]): BigQuery takes both for one column`,
      });
    }
  }
  return problems;
}

function findUnknownTimeZones({ spec }: RiskModel): Problem[] {
  return spec.batch.schedules.flatMap(({ timeZone }, index) =>
    isTimeZone(timeZone)
      ? []
      : [
          {
            path: `spec.batch.schedules[${index}].timeZone`,
            message: `must be an IANA time zone such as Europe/Berlin, not "${timeZone}"`,
          },
        ],
  );
}

/** By the parser that the queue itself reads them with. */
function findBadCronExpressions({ spec }: RiskModel): Problem[] {
  return spec.batch.schedules.flatMap(({ cron }, index) => {
    const why = cronProblem(cron);
    return why === undefined
      ? []
      : [
          {
            path: `spec.batch.schedules[${index}].cron`,
            message: `can't be read as a cron expression: "${cron}": ${why}`,
          },
        ];
  });
}

function cronProblem(cron: string): string | undefined {
  // A random minute, which would be another one each time.
  if (/(^|[ ,])H/.test(cron)) return 'H is not supported';
  try {
    CronExpressionParser.parse(cron).next();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function isTimeZone(name: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    // Offsets such as +01:00 format too, but schedulers don't know them.
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

function findImpossibleUris({ spec }: RiskModel): Problem[] {
  const outputUri = spec.batch.output.uri;
  const uris = [
    { path: 'spec.artifact.uri', uri: spec.artifact.uri },
    // A folder: with the name of a file in it, it is what an object's URI is.
    ...(outputUri ? [{ path: 'spec.batch.output.uri', uri: `${outputUri.replace(/\/*$/, '')}/x` }] : []),
    ...spec.batch.schedules.map(({ input }, index) => ({ path: `spec.batch.schedules[${index}].input`, uri: input })),
  ];
  return uris.flatMap(({ path, uri }) => {
    const message = findUriProblem(uri);
    return message === undefined ? [] : [{ path, message }];
  });
}
