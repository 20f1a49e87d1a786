import protobuf from 'protobufjs/minimal.js';
import { zeroThreshold, type Leaf, type Split, type TreeEnsemble } from './tree-ensemble.ts';

type Writer = protobuf.Writer;

// Versions that every onnxruntime since 1.8 knows; the tensors of doubles came with version 3 of ai.onnx.ml.
const irVersion = 7;
const opset = 13;
const mlOpset = 3;

// Field numbers and enums of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const model = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 };
const opsetId = { domain: 1, version: 2 };
const graphProto = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const nodeProto = { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 };
const attributeProto = { name: 1, i: 3, s: 4, t: 5, floats: 7, ints: 8, strings: 9, type: 20 };
const attributeType = { int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 };
const tensorProto = { dims: 1, dataType: 2, name: 8, rawData: 9 };
const valueInfo = { name: 1, type: 2 };
const typeTensor = 1;
const tensorType = { elemType: 1, shape: 2 };
const shapeDim = 1;
const dimension = { value: 1, param: 2 };
const elemType = { float: 1, double: 11 };

/**
 * Writes a tree ensemble as an ONNX model: one input `input`, float [N, features]; one output `probabilities`, float
 * [N, 2].
 *
 * One node does it all, since every further one costs several microseconds a run: a TreeEnsembleRegressor of two
 * targets, 0 and the margin, whose softmax is exactly the sigmoid of the margin and what is left of 1. The operator for
 * classifiers takes one of the two from a float32's 1 - p, which leaves one digit of a probability of 0.000001.
 */
export function writeOnnx(ensemble: TreeEnsemble): Uint8Array {
  const nodes: Uint8Array[] = [];
  const initializers: Uint8Array[] = [];
  const add = (opType: string, inputs: string[], output: string, attributes: Uint8Array[] = [], domain = ''): void => {
    nodes.push(node(opType, inputs, output, attributes, domain));
  };

  let rows = 'input';
  if (ensemble.zeroIsMissing.size > 0) {
    initializers.push(
      floatTensor('zero_thresholds', [ensemble.featureCount], zeroThresholds(ensemble)),
      floatTensor('missing', [1], [Number.NaN]),
    );
    add('Abs', [rows], 'magnitudes');
    add('LessOrEqual', ['magnitudes', 'zero_thresholds'], 'is_missing');
    add('Where', ['is_missing', 'missing', rows], 'rows_with_missing');
    rows = 'rows_with_missing';
  }
  const double = ensemble.precision === 'float64';
  if (double) {
    add('Cast', [rows], 'double_rows', [intAttribute('to', elemType.double)]);
    rows = 'double_rows';
  }
  add('TreeEnsembleRegressor', [rows], 'probabilities', treeAttributes(ensemble), 'ai.onnx.ml');

  return message((writer) => {
    int(writer, model.irVersion, irVersion);
    text(writer, model.producerName, 'riskmodel');
    for (const [domain, version] of [['', opset] as const, ['ai.onnx.ml', mlOpset] as const]) {
      bytes(
        writer,
        model.opsetImport,
        message((inner) => {
          text(inner, opsetId.domain, domain);
          int(inner, opsetId.version, version);
        }),
      );
    }
    bytes(
      writer,
      model.graph,
      message((graph) => {
        for (const each of nodes) bytes(graph, graphProto.node, each);
        text(graph, graphProto.name, 'boosted_trees');
        for (const each of initializers) bytes(graph, graphProto.initializer, each);
        bytes(graph, graphProto.input, floatMatrix('input', ensemble.featureCount));
        bytes(graph, graphProto.output, floatMatrix('probabilities', 2));
      }),
    );
  });
}

/** Up to which magnitude a number is a missing one: LightGBM's zero, or none. */
function zeroThresholds({ featureCount, zeroIsMissing }: TreeEnsemble): number[] {
  return Array.from({ length: featureCount }, (_, feature) => (zeroIsMissing.has(feature) ? zeroThreshold : -1));
}

function treeAttributes(ensemble: TreeEnsemble): Uint8Array[] {
  const { comparison, precision, base } = ensemble;
  // The base is added first, as the libraries do: the sum of float32s depends on the order. So it is a tree of one leaf,
  // which also has the score of class 0.
  const trees = [[{ value: base }], ...ensemble.trees];
  const count = trees.reduce((sum, tree) => sum + tree.length, 0);
  const treeIds = filled(count, 0);
  const nodeIds = filled(count, 0);
  const features = filled(count, 0);
  const thresholds = filled(count, 0);
  const modes = filled(count, 'LEAF');
  const lefts = filled(count, 0);
  const rights = filled(count, 0);
  const missingLefts = filled(count, 0);
  const leaves = [{ tree: 0, node: 0, target: 0, value: 0 }];
  const branch = comparison === '<' ? 'BRANCH_LT' : 'BRANCH_LEQ';
  let at = 0;
  for (const [treeId, tree] of trees.entries()) {
    for (const [nodeId, each] of (tree as readonly (Split | Leaf)[]).entries()) {
      treeIds[at] = treeId;
      nodeIds[at] = nodeId;
      if ('value' in each) {
        leaves.push({ tree: treeId, node: nodeId, target: 1, value: each.value });
      } else {
        features[at] = each.feature;
        thresholds[at] = each.threshold;
        modes[at] = branch;
        lefts[at] = each.left;
        rights[at] = each.right;
        missingLefts[at] = each.missingLeft ? 1 : 0;
      }
      at++;
    }
  }
  const reals = (name: string, values: number[]): Uint8Array =>
    precision === 'float64' ? doublesAttribute(`${name}_as_tensor`, values) : floatsAttribute(name, values);
  return [
    intAttribute('n_targets', 2),
    textAttribute('post_transform', 'SOFTMAX'),
    intsAttribute('nodes_treeids', treeIds),
    intsAttribute('nodes_nodeids', nodeIds),
    intsAttribute('nodes_featureids', features),
    reals('nodes_values', thresholds),
    stringsAttribute('nodes_modes', modes),
    intsAttribute('nodes_truenodeids', lefts),
    intsAttribute('nodes_falsenodeids', rights),
    intsAttribute('nodes_missing_value_tracks_true', missingLefts),
    intsAttribute(
      'target_treeids',
      leaves.map(({ tree }) => tree),
    ),
    intsAttribute(
      'target_nodeids',
      leaves.map((leaf) => leaf.node),
    ),
    intsAttribute(
      'target_ids',
      leaves.map(({ target }) => target),
    ),
    reals(
      'target_weights',
      leaves.map(({ value }) => value),
    ),
  ];
}

function filled<T>(length: number, value: T): T[] {
  return Array.from({ length }, () => value);
}

function node(opType: string, inputs: string[], output: string, attributes: Uint8Array[], domain: string): Uint8Array {
  return message((writer) => {
    for (const input of inputs) text(writer, nodeProto.input, input);
    text(writer, nodeProto.output, output);
    text(writer, nodeProto.opType, opType);
    for (const attribute of attributes) bytes(writer, nodeProto.attribute, attribute);
    text(writer, nodeProto.domain, domain);
  });
}

function intAttribute(name: string, value: number): Uint8Array {
  return attribute(name, attributeType.int, (writer) => int(writer, attributeProto.i, value));
}

function textAttribute(name: string, value: string): Uint8Array {
  return attribute(name, attributeType.string, (writer) => text(writer, attributeProto.s, value));
}

function intsAttribute(name: string, values: number[]): Uint8Array {
  return attribute(name, attributeType.ints, (writer) => {
    writer.uint32(tag(attributeProto.ints, 2)).fork();
    for (const value of values) writer.int64(value);
    writer.ldelim();
  });
}

function floatsAttribute(name: string, values: number[]): Uint8Array {
  return attribute(name, attributeType.floats, (writer) => {
    writer.uint32(tag(attributeProto.floats, 2)).fork();
    for (const value of values) writer.float(value);
    writer.ldelim();
  });
}

function stringsAttribute(name: string, values: string[]): Uint8Array {
  return attribute(name, attributeType.strings, (writer) => {
    for (const value of values) text(writer, attributeProto.strings, value);
  });
}

function doublesAttribute(name: string, values: number[]): Uint8Array {
  return attribute(name, attributeType.tensor, (writer) => {
    const raw = rawBytes(values, 8, (view, at, value) => view.setFloat64(at, value, true));
    bytes(writer, attributeProto.t, tensor(name, elemType.double, [values.length], raw));
  });
}

function attribute(name: string, type: number, writeValue: (writer: Writer) => void): Uint8Array {
  return message((writer) => {
    text(writer, attributeProto.name, name);
    writeValue(writer);
    int(writer, attributeProto.type, type);
  });
}

function floatTensor(name: string, shape: number[], values: number[]): Uint8Array {
  const raw = rawBytes(values, 4, (view, at, value) => view.setFloat32(at, value, true));
  return tensor(name, elemType.float, shape, raw);
}

function tensor(name: string, type: number, shape: number[], raw: Uint8Array): Uint8Array {
  return message((writer) => {
    for (const size of shape) int(writer, tensorProto.dims, size);
    int(writer, tensorProto.dataType, type);
    text(writer, tensorProto.name, name);
    bytes(writer, tensorProto.rawData, raw);
  });
}

/** Little-endian, as ONNX has it on every machine. */
function rawBytes(
  values: number[],
  size: number,
  set: (view: DataView, at: number, value: number) => void,
): Uint8Array {
  const raw = new Uint8Array(values.length * size);
  const view = new DataView(raw.buffer);
  for (const [index, value] of values.entries()) set(view, index * size, value);
  return raw;
}

/** The description of a float tensor [N, columns]. */
function floatMatrix(name: string, columns: number): Uint8Array {
  return message((writer) => {
    text(writer, valueInfo.name, name);
    writer.uint32(tag(valueInfo.type, 2)).fork();
    writer.uint32(tag(typeTensor, 2)).fork();
    int(writer, tensorType.elemType, elemType.float);
    writer.uint32(tag(tensorType.shape, 2)).fork();
    bytes(
      writer,
      shapeDim,
      message((dim) => text(dim, dimension.param, 'N')),
    );
    bytes(
      writer,
      shapeDim,
      message((dim) => int(dim, dimension.value, columns)),
    );
    writer.ldelim().ldelim().ldelim();
  });
}

function message(write: (writer: Writer) => void): Uint8Array {
  const writer = protobuf.Writer.create();
  write(writer);
  return writer.finish();
}

function int(writer: Writer, field: number, value: number): void {
  writer.uint32(tag(field, 0)).int64(value);
}

function text(writer: Writer, field: number, value: string): void {
  writer.uint32(tag(field, 2)).string(value);
}

function bytes(writer: Writer, field: number, value: Uint8Array): void {
  writer.uint32(tag(field, 2)).bytes(value);
}

/** What stands before a field's value; `wireType` 0 is a varint, 2 something with a length. */
function tag(field: number, wireType: 0 | 2): number {
  return (field << 3) | wireType;
}
