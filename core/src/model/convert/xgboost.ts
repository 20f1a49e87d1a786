import { messageOf } from '../../errors.ts';
import { ModelField } from './model-fields.ts';
import {
  checkFeatureCount,
  collectTree,
  malformed,
  unsupported,
  type Leaf,
  type Split,
  type Tree,
  type TreeEnsemble,
} from './tree-ensemble.ts';
import { readUbjson } from './ubjson.ts';

/**
 * Reads a model that XGBoost (1.0 or later) saved as JSON or UBJSON: `binary:logistic`, boosters `gbtree` and `dart`.
 * The file's schema is https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html.
 *
 * When training was stopped early, the trees after `best_iteration` are left out, as in `XGBClassifier.predict_proba`.
 *
 * @throws RiskModelError `MalformedModel`, `UnsupportedModel`
 */
export function readXgboost(bytes: Uint8Array): TreeEnsemble {
  const file = new ModelField(parse(bytes), '');
  const learner = file.get('learner');
  checkObjective(learner);
  const parameters = learner.get('learner_model_param');
  const featureCountField = parameters.get('num_feature');
  const featureCount = featureCountField.count();
  checkFeatureCount(featureCountField.path, featureCount);
  const featureNames = namesOf(learner.get('feature_names'), featureCount);

  const { model, weights } = boosterOf(learner.get('gradient_booster'));
  const treeFields = model.get('trees').items();
  const used = usedTrees(model, learner.get('attributes'), treeFields.length);
  const nameOf = (feature: number): string => featureNames?.[feature] ?? `number ${feature + 1}`;
  const treeWeights = weights?.numbers(treeFields.length);
  return {
    source: `XGBoost ${versionOf(file.get('version'))}`,
    featureCount,
    featureNames,
    comparison: '<',
    precision: 'float32',
    base: baseMargin(parameters.get('base_score')),
    trees: treeFields
      .slice(0, used)
      .map((tree, index) => readTree(tree, featureCount, nameOf, treeWeights?.[index] ?? 1)),
    unusedTrees: treeFields.length - used,
    zeroIsMissing: new Set(),
  };
}

function parse(bytes: Uint8Array): unknown {
  // A JSON object's first name follows as `"`, maybe after spaces; in UBJSON the name's length does, or a mark.
  if (bytes[0] === '{'.charCodeAt(0) && !/^\{\s*["}]/.test(Buffer.from(bytes.subarray(0, 100)).toString('latin1'))) {
    return readUbjson(bytes);
  }
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw malformed('JSON', messageOf(cause), cause);
  }
}

function checkObjective(learner: ModelField): void {
  const objective = learner.get('objective').get('name').text();
  if (objective !== 'binary:logistic') {
    throw unsupported(
      `the XGBoost model's objective is ${JSON.stringify(objective)}; only binary:logistic gives the probabilities of two classes: train it with that objective`,
    );
  }
  for (const name of ['num_class', 'num_target']) {
    const field = learner.get('learner_model_param').get(name);
    if (field.isPresent && field.count() > 1) {
      throw unsupported(
        `the XGBoost model has ${field.count()} outputs (${field.path}); only those with one are served`,
      );
    }
  }
}

function boosterOf(booster: ModelField): { model: ModelField; weights: ModelField | undefined } {
  const name = booster.get('name').text();
  if (name === 'gbtree') return { model: booster.get('model'), weights: undefined };
  if (name === 'dart') return { model: booster.get('gbtree').get('model'), weights: booster.get('weight_drop') };
  throw unsupported(
    `the XGBoost model's booster is ${JSON.stringify(name)}; only gbtree and dart, which are trees, are served`,
  );
}

/** The names of the columns; undefined when the model was trained on data without any. */
function namesOf(field: ModelField, featureCount: number): string[] | undefined {
  if (!field.isPresent) return undefined;
  const names = field.items().map((name) => name.text());
  if (names.length === 0) return undefined;
  if (names.length !== featureCount)
    throw malformed(field.path, `must have ${featureCount} names, as learner_model_param.num_feature says`);
  return names;
}

/** How many of the trees, from the first on, belong to the best round. */
function usedTrees(model: ModelField, attributes: ModelField, all: number): number {
  const best = attributes.isPresent ? attributes.get('best_iteration') : attributes;
  if (!best.isPresent) return all;
  const rounds = best.count() + 1;
  const ends = model.get('iteration_indptr');
  const treesPerRound = model.get('gbtree_model_param').get('num_parallel_tree');
  const limit = attributes.get('best_ntree_limit');
  const used = ends.isPresent
    ? ends.numbers()[rounds]
    : treesPerRound.isPresent
      ? rounds * treesPerRound.count()
      : // Before 1.6 the number of trees in a round was not in the file, but their sum was.
        limit.isPresent
        ? limit.count()
        : rounds;
  if (used === undefined || !Number.isInteger(used) || used < 0 || used > all) {
    throw malformed(best.path, `is round ${rounds - 1}, which the file's ${all} trees do not have`);
  }
  return used;
}

/** The probability that stands before all trees, as XGBoost turns it into a margin: in float32. */
function baseMargin(field: ModelField): number {
  // A number as text; since 3.1 in brackets, as the vector that several outputs would have.
  const text = field.text();
  const numbers = text
    .replace(/^\[(.*)\]$/, '$1')
    .split(',')
    .map(Number);
  const [score] = numbers;
  if (numbers.length !== 1 || score === undefined || text.trim() === '' || !(score > 0 && score < 1)) {
    throw malformed(field.path, 'must be one probability, above 0 and below 1');
  }
  const odds = Math.fround(Math.fround(1 / Math.fround(score)) - 1);
  return Math.fround(-Math.fround(Math.log(odds)));
}

function versionOf(field: ModelField): string {
  return field.numbers().join('.');
}

function readTree(tree: ModelField, featureCount: number, nameOf: (feature: number) => string, weight: number): Tree {
  const lefts = tree.get('left_children').numbers();
  const nodes = lefts.length;
  const rights = tree.get('right_children').numbers(nodes);
  const features = tree.get('split_indices').numbers(nodes);
  const conditions = tree.get('split_conditions').numbers(nodes);
  const defaultLefts = tree.get('default_left').numbers(nodes);
  const splitTypes = tree.get('split_type');
  // Before 1.5 there were no categories.
  const types = splitTypes.isPresent ? splitTypes.numbers(nodes) : undefined;
  const vectorSize = tree.get('tree_param').get('size_leaf_vector');
  if (vectorSize.isPresent && vectorSize.count() > 1) {
    throw unsupported(`the XGBoost model has trees with several outputs (${vectorSize.path}), which are not served`);
  }

  return collectTree(tree.path, 0, (id): Split | Leaf => {
    const left = lefts[id];
    const right = rights[id] as number;
    if (left === undefined) throw malformed(tree.path, `there is no node ${id} among its ${nodes}`);
    const condition = Math.fround(conditions[id] as number);
    if (!Number.isFinite(condition))
      throw malformed(`${tree.path}.split_conditions[${id}]`, 'must be a finite float32');
    if (left === -1) return { value: Math.fround(Math.fround(weight) * condition) };
    const feature = features[id] as number;
    if (!Number.isInteger(feature) || feature < 0 || feature >= featureCount) {
      throw malformed(`${tree.path}.split_indices[${id}]`, `must be one of the ${featureCount} features, from 0 on`);
    }
    if (types !== undefined && types[id] !== 0) {
      throw unsupported(
        `the XGBoost model splits the feature ${nameOf(feature)} by categories (${splitTypes.path}[${id}]), which is not served: train it with that column as numbers (one-hot or ordinal codes)`,
      );
    }
    return { feature, threshold: condition, missingLeft: defaultLefts[id] !== 0, left, right };
  });
}
