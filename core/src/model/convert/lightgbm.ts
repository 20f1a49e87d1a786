import {
  checkFeatureCount,
  collectTree,
  float32AtMost,
  malformed,
  unsupported,
  zeroThreshold,
  type Leaf,
  type Split,
  type Tree,
  type TreeEnsemble,
} from './tree-ensemble.ts';

/** Bits of `decision_type` in LightGBM's tree.h; the two above them are the kind of missing values. */
const categorical = 1;
const defaultLeft = 2;
const missingKinds = ['None', 'Zero', 'NaN'] as const;

type MissingKind = (typeof missingKinds)[number];

/** The `key=value` lines of one part of the file. */
interface Section {
  name: string;
  values: ReadonlyMap<string, string>;
}

/**
 * Reads a model that LightGBM (2.0 or later) saved as text: objective `binary`; boosting `gbdt`, `dart`, `goss`, `rf`.
 *
 * Thresholds are doubles in the file. They are rounded down to float32, which sends every row of float32s, and no other
 * ones are ever scored, the same way.
 *
 * @throws RiskModelError `MalformedModel`, `UnsupportedModel`
 */
export function readLightgbm(bytes: Uint8Array): TreeEnsemble {
  const { header, trees } = sectionsOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  const sigmoid = sigmoidOf(header);
  for (const key of ['num_class', 'num_tree_per_iteration']) {
    if (numberOf(header, key) !== 1) {
      throw unsupported(
        `the LightGBM model has ${key}=${textOf(header, key)}; only models with one tree a round are served`,
      );
    }
  }
  const featureCount = numberOf(header, 'max_feature_idx') + 1;
  checkFeatureCount('max_feature_idx', featureCount);
  const featureNames = namesOf(header, featureCount);
  const nameOf = (feature: number): string => featureNames?.[feature] ?? `number ${feature + 1}`;
  const missing = new MissingKinds(nameOf);
  // A random forest is the mean of its trees.
  const scale = header.values.has('average_output') && trees.length > 0 ? sigmoid / trees.length : sigmoid;
  const read = trees.map((tree) => readTree(tree, { featureCount, nameOf, missing, scale }));
  return {
    source: `LightGBM's text ${textOf(header, 'version')}`,
    featureCount,
    featureNames,
    comparison: '<=',
    precision: 'float64',
    base: 0,
    trees: read,
    unusedTrees: 0,
    zeroIsMissing: missing.zeroIsMissing(),
  };
}

function sectionsOf(text: string): { header: Section; trees: Section[] } {
  const [first, ...lines] = text.split(/\r?\n/);
  if (first?.trim() !== 'tree') throw malformed('line 1', 'must be "tree"');
  const header = { name: 'the header', values: new Map<string, string>() };
  const trees: { name: string; values: Map<string, string> }[] = [];
  let section = header;
  for (const line of lines) {
    if (line === 'end of trees') {
      checkTreeSizes(header, trees.length);
      return { header, trees };
    }
    const at = line.indexOf('=');
    const key = at < 0 ? line : line.slice(0, at);
    if (key === 'Tree') {
      section = { name: `tree ${line.slice(at + 1)}`, values: new Map() };
      trees.push(section);
    } else if (key !== '') {
      section.values.set(key, at < 0 ? '' : line.slice(at + 1));
    }
  }
  throw malformed(
    'the end',
    'there is no line "end of trees": the file is cut off, or not one that LightGBM saved as text',
  );
}

/** One size a tree: what tells that a tree is missing in between. */
function checkTreeSizes(header: Section, trees: number): void {
  const sizes = header.values.get('tree_sizes');
  if (sizes === undefined) return;
  const announced = sizes.split(' ').filter((size) => size !== '').length;
  if (announced !== trees) throw malformed('tree_sizes', `announces ${announced} trees, but the file has ${trees}`);
}

/** The factor in prob_1 = 1 / (1 + exp(-sigmoid * sum)). */
function sigmoidOf(header: Section): number {
  const objective = header.values.get('objective');
  const [name, ...parameters] = (objective ?? '').split(' ');
  if (name !== 'binary') {
    throw unsupported(
      objective === undefined
        ? 'the LightGBM model has no objective, as those trained with one of their own, so its output is no probability: train it with objective binary'
        : `the LightGBM model's objective is ${JSON.stringify(objective)}; only binary gives the probabilities of two classes: train it with that objective`,
    );
  }
  const sigmoid = Number(parameters.find((parameter) => parameter.startsWith('sigmoid:'))?.slice('sigmoid:'.length));
  if (!(sigmoid > 0 && Number.isFinite(sigmoid)))
    throw malformed('objective', 'must be "binary sigmoid:S" with a number S above 0');
  return sigmoid;
}

/** The names of the columns; undefined when they are the ones that LightGBM makes up. */
function namesOf(header: Section, featureCount: number): string[] | undefined {
  const names = textOf(header, 'feature_names').split(' ');
  if (names.length !== featureCount)
    throw malformed('feature_names', `must have ${featureCount} names, as max_feature_idx says`);
  return names.every((name, index) => name === `Column_${index}`) ? undefined : names;
}

/** What counts as missing in each feature that is asked for, which must be one thing throughout the model. */
class MissingKinds {
  readonly #kinds = new Map<number, MissingKind>();
  readonly #nameOf: (feature: number) => string;

  constructor(nameOf: (feature: number) => string) {
    this.#nameOf = nameOf;
  }

  add(feature: number, kind: MissingKind): void {
    const known = this.#kinds.get(feature) ?? kind;
    this.#kinds.set(feature, kind);
    if (known !== kind && (known === 'Zero' || kind === 'Zero')) {
      throw unsupported(
        `the LightGBM model takes a 0 in the feature ${this.#nameOf(feature)} for missing in some trees and not in others (zero_as_missing), which is not served: train it with one setting`,
      );
    }
  }

  zeroIsMissing(): ReadonlySet<number> {
    return new Set([...this.#kinds].filter(([, kind]) => kind === 'Zero').map(([feature]) => feature));
  }
}

interface TreeContext {
  featureCount: number;
  nameOf: (feature: number) => string;
  missing: MissingKinds;
  /** What the leaves are multiplied by. */
  scale: number;
}

function readTree(tree: Section, { featureCount, nameOf, missing, scale }: TreeContext): Tree {
  if (tree.values.has('is_linear') && numberOf(tree, 'is_linear') !== 0) {
    throw unsupported(
      "the LightGBM model's leaves are linear models (linear_tree), which are not served: train it without",
    );
  }
  const leafCount = numberOf(tree, 'num_leaves');
  const leafValues = numbersOf(tree, 'leaf_value', leafCount);
  const leafOf = (leaf: number): Leaf => {
    const value = leafValues[leaf];
    if (value === undefined) throw malformed(tree.name, `there is no leaf ${leaf} among its ${leafCount}`);
    if (!Number.isFinite(value * scale))
      throw malformed(`${tree.name}, leaf_value`, `number ${leaf + 1} must be finite`);
    return { value: value * scale };
  };
  if (leafCount === 1) return [leafOf(0)];

  const splits = leafCount - 1;
  const features = numbersOf(tree, 'split_feature', splits);
  const thresholds = numbersOf(tree, 'threshold', splits);
  const decisionTypes = numbersOf(tree, 'decision_type', splits);
  const lefts = numbersOf(tree, 'left_child', splits);
  const rights = numbersOf(tree, 'right_child', splits);
  return collectTree(tree.name, 0, (id): Split | Leaf => {
    // Children below zero are leaves: -1 is the first.
    if (id < 0) return leafOf(-id - 1);
    const threshold = thresholds[id];
    if (threshold === undefined) throw malformed(tree.name, `there is no node ${id} among its ${splits}`);
    const feature = features[id] as number;
    if (!Number.isInteger(feature) || feature < 0 || feature >= featureCount) {
      throw malformed(
        `${tree.name}, split_feature`,
        `number ${id + 1} must be one of the ${featureCount} features, from 0 on`,
      );
    }
    const decisionType = decisionTypes[id] as number;
    if ((decisionType & categorical) !== 0) {
      throw unsupported(
        `the LightGBM model splits the feature ${nameOf(feature)} by categories (${tree.name}, decision_type), which is not served: train it with that column as numbers (without categorical_feature)`,
      );
    }
    const kind = missingKinds[decisionType >> 2];
    if (kind === undefined) throw malformed(`${tree.name}, decision_type`, `number ${id + 1} is unknown`);
    missing.add(feature, kind);
    return {
      feature,
      threshold: float32Threshold(threshold),
      // Where nothing was missing in training, LightGBM takes NaN for 0.
      missingLeft: kind === 'None' ? threshold >= 0 : (decisionType & defaultLeft) !== 0,
      left: lefts[id] as number,
      right: rights[id] as number,
    };
  });
}

/** The float32 that stands for a threshold, where every row of float32s goes the way that it goes in LightGBM. */
function float32Threshold(threshold: number): number {
  if (Math.abs(threshold) > zeroThreshold) return float32AtMost(threshold);
  // What is taken for 0 goes one way, that of 0.
  return threshold >= 0 ? zeroThreshold : float32AtMost(-zeroThreshold * (1 + Number.EPSILON));
}

function textOf({ name, values }: Section, key: string): string {
  const text = values.get(key);
  if (text === undefined) throw malformed(name, `the line ${key}= is missing`);
  return text;
}

function numberOf(section: Section, key: string): number {
  const text = textOf(section, key);
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value))
    throw malformed(`${section.name}, ${key}`, 'must be a whole number');
  return value;
}

/** LightGBM writes `inf` for the threshold that tells missing values from all others. */
function realOf(text: string): number {
  return text === 'inf' ? Infinity : text === '-inf' ? -Infinity : Number(text);
}

function numbersOf(section: Section, key: string, length: number): number[] {
  const values = textOf(section, key).trim().split(/ +/).map(realOf);
  if (values.length !== length || values.some(Number.isNaN)) {
    throw malformed(`${section.name}, ${key}`, `must be ${length} numbers, as num_leaves says`);
  }
  return values;
}
