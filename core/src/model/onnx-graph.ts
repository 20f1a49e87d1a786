import protobuf from 'protobufjs/minimal.js';

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const modelGraph = 7;
const graphNode = 1;
const graphOutput = 12;
const nodeInput = 1;
const nodeOutput = 2;
const nodeOpType = 4;
const valueInfoName = 1;
const valueInfoType = 2;
const typeTensor = 1;
const tensorElemType = 1;
const elemTypeFloat = 1;

interface Field {
  number: number;
  /** The field as it stands in the message: tag, length and content. */
  raw: Uint8Array;
  /** The content of a length-delimited field; empty for the other wire types. */
  content: Uint8Array;
}

/**
 * Takes the ZipMap nodes off an ONNX model, so that the probabilities it gave as a sequence of maps (as scikit-learn's
 * converters do by default) come out as the float tensor that went into it, under the same output name. Everything
 * else of the model is kept byte for byte. onnxruntime's Node binding reads tensors only.
 *
 * @param model a serialised ONNX ModelProto
 * @returns the same bytes when there is no ZipMap
 */
export function removeZipMap(model: Uint8Array): Uint8Array {
  return mapField(model, modelGraph, withoutZipMap) ?? model;
}

function withoutZipMap(graph: Uint8Array): Uint8Array {
  const fields = fieldsOf(graph);
  /** The name that the tensor which goes into a ZipMap gets: that of the ZipMap's output. */
  const outputOf = new Map<string, string>();
  for (const field of fields) {
    if (field.number !== graphNode) continue;
    const node = fieldsOf(field.content);
    if (textOf(node, nodeOpType) !== 'ZipMap') continue;
    const input = textOf(node, nodeInput);
    const output = textOf(node, nodeOutput);
    if (input !== undefined && output !== undefined) outputOf.set(input, output);
  }
  if (outputOf.size === 0) return graph;

  const outputs = new Set(outputOf.values());
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    if (field.number === graphNode) {
      const node = fieldsOf(field.content);
      if (textOf(node, nodeOpType) !== 'ZipMap') parts.push(withNames(field, node, outputOf));
      continue;
    }
    const name = field.number === graphOutput ? textOf(fieldsOf(field.content), valueInfoName) : undefined;
    parts.push(name === undefined || !outputs.has(name) ? field.raw : floatTensorOutput(name));
  }
  return concat(parts);
}

/** A node that reads or writes tensors of `names`, with their new names; any other node as it is. */
function withNames(field: Field, node: Field[], names: ReadonlyMap<string, string>): Uint8Array {
  const parts = node.map((part) => {
    if (part.number !== nodeInput && part.number !== nodeOutput) return part.raw;
    const name = names.get(Buffer.from(part.content).toString('utf8'));
    return name === undefined
      ? part.raw
      : protobuf.Writer.create()
          .uint32((part.number << 3) | 2)
          .string(name)
          .finish();
  });
  if (parts.every((part, index) => part === node[index]?.raw)) return field.raw;
  return protobuf.Writer.create()
    .uint32((graphNode << 3) | 2)
    .bytes(concat(parts))
    .finish();
}

/** A graph output of element type float and any shape. */
function floatTensorOutput(name: string): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32((graphOutput << 3) | 2).fork();
  writer.uint32((valueInfoName << 3) | 2).string(name);
  writer.uint32((valueInfoType << 3) | 2).fork();
  writer.uint32((typeTensor << 3) | 2).fork();
  writer.uint32(tensorElemType << 3).int32(elemTypeFloat);
  return writer.ldelim().ldelim().ldelim().finish();
}

/** Replaces the first field `number` of a message by `change(content)`; undefined when the message has none. */
function mapField(
  message: Uint8Array,
  number: number,
  change: (content: Uint8Array) => Uint8Array,
): Uint8Array | undefined {
  const fields = fieldsOf(message);
  const index = fields.findIndex((field) => field.number === number);
  const field = fields[index];
  if (field === undefined) return undefined;
  const content = change(field.content);
  if (content === field.content) return message;
  const header = protobuf.Writer.create()
    .uint32((number << 3) | 2)
    .uint32(content.length)
    .finish();
  return concat([
    ...fields.slice(0, index).map(({ raw }) => raw),
    header,
    content,
    ...fields.slice(index + 1).map(({ raw }) => raw),
  ]);
}

function fieldsOf(message: Uint8Array): Field[] {
  const reader = protobuf.Reader.create(message);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    let content = message.subarray(0, 0);
    if ((tag & 7) === 2) {
      const length = reader.uint32();
      content = message.subarray(reader.pos, reader.pos + length);
      reader.skip(length);
    } else {
      reader.skipType(tag & 7);
    }
    fields.push({ number: tag >>> 3, raw: message.subarray(start, reader.pos), content });
  }
  return fields;
}

function textOf(fields: Field[], number: number): string | undefined {
  const field = fields.find((candidate) => candidate.number === number);
  return field && Buffer.from(field.content).toString('utf8');
}

function concat(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
