import { RiskModelError } from '../errors.ts';

/** One thing that is wrong with an object: which field, as `spec.features[3].minimum`, and what it must be. */
export interface Problem {
  /** The field; empty when the object as a whole is meant. */
  path: string;
  message: string;
}

/** A problem and where its object stands: `riskmodel.yaml`, `riskmodel.yaml:3:7`, `models.yaml (document 2)`. */
export interface ManifestProblem extends Problem {
  source: string;
}

/** Everything that is wrong with a manifest. The message has one line for each problem: `SOURCE: PATH: MESSAGE`. */
export class ManifestError extends RiskModelError {
  readonly problems: readonly ManifestProblem[];

  constructor(problems: readonly ManifestProblem[]) {
    super('InvalidManifest', problems.map(formatProblem).join('\n'));
    this.name = 'ManifestError';
    this.problems = problems;
  }
}

function formatProblem({ source, path, message }: ManifestProblem): string {
  return [source, path, message].filter((part) => part !== '').join(': ');
}

/** The path of a field or, given a number, of an item of the list at `parent`. */
export function childPath(parent: string, child: string | number): string {
  if (typeof child === 'number') return `${parent}[${child}]`;
  if (!/^[\w$-]+$/.test(child)) return `${parent}[${JSON.stringify(child)}]`;
  return parent === '' ? child : `${parent}.${child}`;
}
