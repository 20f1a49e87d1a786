import { RiskModelError } from '../../errors.ts';

/** The most features that a manifest can list, and so the most that a model may have. */
const mostFeatures = 2_000;
/** onnxruntime walks down a tree recursively when it loads it, on a stack that ends. */
const deepestTree = 1_000;
/** LightGBM takes every number up to this one, above zero or below, for 0. */
export const zeroThreshold = Math.fround(1e-35);

/** A node that asks for a feature. Children are indices into the tree's nodes. */
export interface Split {
  feature: number;
  threshold: number;
  /** Where a row without this feature (NaN) goes. */
  missingLeft: boolean;
  left: number;
  right: number;
}

export interface Leaf {
  value: number;
}

/** The nodes of one tree, its root first; each but the root is the child of exactly one split before it. */
export type Tree = (Split | Leaf)[];

/**
 * A binary classifier of boosted trees, whatever library made it: prob_1 = 1 / (1 + exp(-margin)), where the margin is
 * `base` and the sum of the leaves, one of each tree, that the row falls into.
 */
export interface TreeEnsemble {
  /** What made the file, for people: `XGBoost 3.2.0`. */
  source: string;
  featureCount: number;
  /** The names of the model's columns in their order; undefined when the file has none. */
  featureNames: readonly string[] | undefined;
  /** Which rows go left: those below the threshold, or those below or at it. */
  comparison: '<' | '<=';
  /** The numbers that the library adds up leaves in; thresholds are always float32. */
  precision: 'float32' | 'float64';
  base: number;
  trees: readonly Tree[];
  /** Trees of the file that are not used, because training went on after its best round. */
  unusedTrees: number;
  /** Features of which 0 means "missing", as NaN does. */
  zeroIsMissing: ReadonlySet<number>;
}

/** What the file says is wrong: `where` is the part of the file. */
export function malformed(where: string, what: string, cause?: unknown): RiskModelError {
  return new RiskModelError('MalformedModel', `the model file is damaged: ${where}: ${what}`, { cause });
}

/** What the file says is right, but not what is served. */
export function unsupported(message: string): RiskModelError {
  return new RiskModelError('UnsupportedModel', message);
}

export function checkFeatureCount(where: string, count: number): void {
  if (!Number.isInteger(count) || count < 1) throw malformed(where, 'must be the number of features, at least 1');
  if (count > mostFeatures) throw unsupported(`the model has ${count} features; at most ${mostFeatures} can be served`);
}

/**
 * Collects the nodes of a tree from its root down, and so without the ones that pruning left behind.
 *
 * @param where the tree's place in the file, for messages
 * @param nodeOf a node by the file's own number for it, with children as such numbers; throws when there is none
 * @throws RiskModelError when the nodes are no tree
 */
export function collectTree(where: string, root: number, nodeOf: (id: number) => Split | Leaf): Tree {
  const tree: Tree = [];
  const seen = new Set<number>();
  const waiting: { id: number; parent: Split | undefined; side: 'left' | 'right'; depth: number }[] = [
    { id: root, parent: undefined, side: 'left', depth: 0 },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { id, parent, side, depth } = next;
    if (seen.has(id)) throw malformed(where, `node ${id} is the child of two nodes`);
    if (depth > deepestTree) throw unsupported(`${where} is deeper than ${deepestTree} levels, which can't be served`);
    seen.add(id);
    if (parent !== undefined) parent[side] = tree.length;
    const node = { ...nodeOf(id) };
    tree.push(node);
    if ('value' in node) continue;
    waiting.push({ id: node.right, parent: node, side: 'right', depth: depth + 1 });
    waiting.push({ id: node.left, parent: node, side: 'left', depth: depth + 1 });
  }
  return tree;
}

/** The largest float32 that is not above a number: a float32 is `<=` the one exactly when it is `<=` the other. */
export function float32AtMost(value: number): number {
  const rounded = Math.fround(value);
  if (!(rounded > value)) return rounded;
  const float = Float32Array.of(rounded);
  const bits = new Int32Array(float.buffer);
  // Neighbouring floats have neighbouring bits, counted away from zero.
  if (rounded > 0) bits[0]! -= 1;
  else if (rounded < 0) bits[0]! += 1;
  else return -(2 ** -149);
  return float[0] as number;
}
