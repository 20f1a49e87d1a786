// The physical floor: bare node:http, JSON.parse and onnxruntime, with nothing that a service needs. Requests that
// arrive while a run is under way are scored together in the next one. Arguments: the model's file, its features as
// JSON, the port.
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import ort from 'onnxruntime-node';

interface Waiting {
  response: ServerResponse;
  rows: number;
  isTensor: boolean;
}

const [, , file = '', featuresJson = '[]', port = '0'] = process.argv;
const features = JSON.parse(featuresJson) as string[];
const session = await ort.InferenceSession.create(readFileSync(file), { intraOpNumThreads: 1, interOpNumThreads: 1 });
const output = session.outputNames.find((name) => /prob/i.test(name)) as string;

let numbers: number[] = [];
let waiting: Waiting[] = [];
let isRunning = false;

async function score(): Promise<void> {
  isRunning = true;
  while (waiting.length > 0) {
    const [matrix, taken] = [Float32Array.from(numbers), waiting];
    [numbers, waiting] = [[], []];
    const input = new ort.Tensor('float32', matrix, [matrix.length / features.length, features.length]);
    const { [output]: answer } = await session.run({ [session.inputNames[0] as string]: input }, [output]);
    const probabilities = answer?.data as Float32Array;
    let at = 0;
    for (const { response, rows, isTensor } of taken) {
      const data = probabilities.subarray(at, (at += 2 * rows)).join(',');
      const body = isTensor
        ? `{"model_name":"m","outputs":[{"name":"probabilities","datatype":"FP32","shape":[${rows},2],"data":[${data}]}]}`
        : `[${data}]`;
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    }
  }
  isRunning = false;
}

createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = JSON.parse(String(Buffer.concat(parts))) as Record<string, number> & {
      inputs?: { data: number[]; shape: number[] }[];
    };
    const tensor = body.inputs?.[0];
    if (tensor === undefined) for (const name of features) numbers.push(body[name] as number);
    else for (const value of tensor.data) numbers.push(value);
    waiting.push({ response, rows: tensor?.shape[0] ?? 1, isTensor: tensor !== undefined });
    if (!isRunning) void score();
  });
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
