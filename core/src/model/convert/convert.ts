import { RiskModelError } from '../../errors.ts';
import type { ArtifactFormat } from '../../riskmodel/zz_generated.riskmodel.ts';
import { readLightgbm } from './lightgbm.ts';
import { writeOnnx } from './onnx-writer.ts';
import { unsupported, type TreeEnsemble } from './tree-ensemble.ts';
import { readXgboost } from './xgboost.ts';

export type ConvertibleFormat = Exclude<ArtifactFormat, 'ONNX'>;

/** A model file as ONNX, and what was found in it. */
export interface ConvertedModel extends Pick<TreeEnsemble, 'source' | 'featureCount' | 'featureNames' | 'unusedTrees'> {
  format: ConvertibleFormat;
  /** A serialised ONNX ModelProto: `input` float [N, features], `probabilities` float [N, 2]. */
  onnx: Uint8Array;
  /** The number of trees that were converted. */
  trees: number;
}

/**
 * Converts a binary classifier that XGBoost (JSON, UBJSON) or LightGBM (text) saved to ONNX.
 *
 * @param format what the file is said to be; undefined to go by its content
 * @throws RiskModelError `MalformedModel` (says which part of the file is wrong), `UnsupportedModel` (says what to do)
 */
export function convertModel(bytes: Uint8Array, format?: ConvertibleFormat): ConvertedModel {
  const found = detectFormat(bytes);
  if (format !== undefined && format !== found) {
    throw new RiskModelError('MalformedModel', `the file is not of the format ${format}; it looks like ${found}`);
  }
  const ensemble = found === 'XGBoost' ? readXgboost(bytes) : readLightgbm(bytes);
  const { source, featureCount, featureNames, unusedTrees, trees } = ensemble;
  return {
    format: found,
    onnx: writeOnnx(ensemble),
    source,
    featureCount,
    featureNames,
    unusedTrees,
    trees: trees.length,
  };
}

function detectFormat(bytes: Uint8Array): ConvertibleFormat {
  const start = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  if (/^tree\r?\n/.test(start)) return 'LightGBM';
  if (/^\s*\{\s*"name"\s*:\s*"tree"/.test(start)) {
    throw unsupported("the file is LightGBM's dump_model(); save the model as text, with save_model()");
  }
  if (/^\s*\{/.test(start)) return 'XGBoost';
  if (bytes.length === 0) throw new RiskModelError('MalformedModel', 'the model file is empty');
  if (bytes[0] === 0x80) {
    throw unsupported(
      'the file is a pickle, which can run any program when it is read; save the model with save_model(), as .json or .ubj (XGBoost) or .txt (LightGBM)',
    );
  }
  throw unsupported(
    "the file is neither XGBoost's JSON or UBJSON nor LightGBM's text; save the model with save_model(), as .json or .ubj (XGBoost; not its old binary format) or .txt (LightGBM)",
  );
}
