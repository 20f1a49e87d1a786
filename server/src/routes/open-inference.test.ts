import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeModel, startTestApp, StubSession, type TestApp } from '../testing/test-app.ts';

interface Answer {
  model_name: string;
  model_version: string;
  id?: string;
  outputs: { name: string; datatype: string; shape: number[]; data?: number[]; parameters?: unknown }[];
}

const pair = (one: number): number[] => [Math.fround(1 - Math.fround(one)), Math.fround(one)];

/** The body of a binary request: JSON, then the tensors' bytes. */
function binaryBody(json: unknown, ...parts: ArrayBufferView[]): { body: Uint8Array; headers: Record<string, string> } {
  const head = Buffer.from(JSON.stringify(json));
  const bytes = parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  return {
    body: Buffer.concat([head, ...bytes]),
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) },
  };
}

/** A tensor of one row that is fit for scoring, changed as told. */
function tensor(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: 'input', shape: [1, 4], datatype: 'FP32', data: [30, 1, 5, 1], ...fields };
}

/** One row, as one tensor or as one a feature. */
function oneRow(age: number): unknown[] {
  if (age % 2 === 0) return [tensor({ data: [age, 1, 5, 1] })];
  return ['AGE', 'SEX'].map((name) => ({ name, shape: [1], datatype: 'INT32', data: [name === 'AGE' ? age : 1] }));
}

/** Any answer's status, and its error if it is one. */
async function errorIn(response: Response): Promise<[number, string]> {
  return [response.status, ((await response.json()) as { error: string }).error];
}

/** Sends one row as binary float32. */
async function sendFloats(app: TestApp, ...values: number[]): Promise<[number, string]> {
  const { body, headers } = binaryBody(
    { inputs: [tensor({ data: undefined, parameters: { binary_data_size: values.length * 4 } })] },
    Float32Array.from(values),
  );
  return errorIn(await app.post('/v2/models/credit/infer', body, headers));
}

describe('Open Inference Protocol', () => {
  let session: StubSession;
  let app: TestApp;
  const infer = (body: unknown, headers?: Record<string, string>): Promise<Response> =>
    app.post('/v2/models/credit/infer', body, headers);
  const errorOf = async (body: unknown, headers?: Record<string, string>): Promise<[number, string]> =>
    errorIn(await infer(body, headers));

  beforeEach(async () => {
    session = new StubSession(4);
    app = await startTestApp({ models: [makeModel('credit', session, { version: 'v 1/2' })] });
  });
  afterEach(() => app.close());

  test('describes the server and the model', async () => {
    expect(await app.get('/v2')).toEqual({
      status: 200,
      body: { name: 'riskmodel', version: '0.0.0', extensions: ['binary_tensor_data'] },
    });
    const metadata = {
      name: 'credit',
      versions: ['v 1/2'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
        { name: 'decision', datatype: 'INT64', shape: [-1] },
      ],
    };
    expect(await app.get('/v2/models/credit')).toEqual({ status: 200, body: metadata });
    expect(await app.get('/v2/models/credit/versions/v%201%2F2')).toEqual({ status: 200, body: metadata });
    expect(await app.get('/v2/models/credit/ready')).toEqual({ status: 200, body: { name: 'credit', ready: true } });
    expect(await app.get('/v2/health/live')).toEqual({ status: 200, body: { live: true } });
    expect(await app.get('/v2/health/ready')).toEqual({ status: 200, body: { ready: true } });
  });

  test('is not ready when the server is not', async () => {
    app.readiness.markNotReady('shutting down');
    for (const path of ['/v2/health/ready', '/v2/models/credit/ready', '/v1/models/credit']) {
      expect((await fetch(app.url + path)).status).toBe(503);
    }
    expect((await fetch(`${app.url}/v2/health/live`)).status).toBe(200);
  });

  test('answers probabilities and decisions, and repeats the id', async () => {
    const response = await infer({ id: '42', inputs: [tensor({ shape: [2, 4], data: [20, 1, 5, 1, 30, 2, 5, 0] })] });
    expect(response.status).toBe(200);
    expect((await response.json()) as Answer).toEqual({
      model_name: 'credit',
      model_version: 'v 1/2',
      id: '42',
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [2, 2], data: [...pair(0.2), ...pair(0.3)] },
        { name: 'decision', datatype: 'INT64', shape: [2], data: [0, 1] },
      ],
    });
    expect(session.runs).toEqual([2]);
  });

  test.each([
    [
      'nested data',
      tensor({
        shape: [2, 4],
        data: [
          [30, 1, 5, 1],
          [30, 1, 5, 1],
        ],
      }),
      2,
    ],
    ['no rows', tensor({ shape: [0, 4], data: [] }), 0],
    ['another name', tensor({ name: 'float_input' }), 1],
    ['FP64', tensor({ datatype: 'FP64' }), 1],
    ['INT8', tensor({ datatype: 'INT8' }), 1],
    ['UINT64', tensor({ datatype: 'UINT64' }), 1],
    ['a boolean for the Boolean feature', tensor({ data: [30, 1, 5, true] }), 1],
    ['null for what has a default', tensor({ data: [30, 1, null, null] }), 1],
  ])('takes one tensor with %s', async (_name, input, rows) => {
    const response = await infer({ inputs: [input] });
    expect(response.status).toBe(200);
    const { outputs } = (await response.json()) as Answer;
    expect(outputs[0]?.data).toEqual(Array.from({ length: rows }, () => pair(0.3)).flat());
  });

  test('requests of one row that come at once are answered with their own, whatever is refused between them', async () => {
    const ages = Array.from({ length: 60 }, (_, index) => index + 10);
    const answers = await Promise.all(
      ages.map(async (age) => {
        const response = await infer({ inputs: oneRow(age) });
        return response.status === 200 ? ((await response.json()) as Answer).outputs[0]?.data : response.status;
      }),
    );
    expect(answers).toEqual(ages.map((age) => (age < 18 ? 400 : pair(age / 100))));
  });

  test('takes one tensor a feature, in any order, [N] or [N, 1]; missing ones follow their rule', async () => {
    const response = await infer({
      inputs: [
        { name: 'SEX', shape: [2, 1], datatype: 'INT32', data: [[1], [2]] },
        { name: 'AGE', shape: [2], datatype: 'FP32', data: [20, 30] },
        { name: 'OWNER', shape: [2], datatype: 'BOOL', data: [true, false] },
        { name: 'customer_id', shape: [2], datatype: 'BYTES', data: ['a', 'b'] },
      ],
      outputs: [{ name: 'probabilities' }],
    });
    expect(response.status).toBe(200);
    expect(((await response.json()) as Answer).outputs).toEqual([
      { name: 'probabilities', datatype: 'FP32', shape: [2, 2], data: [...pair(0.2), ...pair(0.3)] },
    ]);
  });

  test.each([
    ['FP32', Float32Array.of(30, 1, 5, 1)],
    ['FP64', Float64Array.of(30, 1, 5, 1)],
    ['INT8', Int8Array.of(30, 1, 5, 1)],
    ['INT16', Int16Array.of(30, 1, 5, 1)],
    ['INT32', Int32Array.of(30, 1, 5, 1)],
    ['INT64', BigInt64Array.of(30n, 1n, 5n, 1n)],
    ['UINT8', Uint8Array.of(30, 1, 5, 1)],
    ['UINT16', Uint16Array.of(30, 1, 5, 1)],
    ['UINT32', Uint32Array.of(30, 1, 5, 1)],
    ['UINT64', BigUint64Array.of(30n, 1n, 5n, 1n)],
  ])('takes binary %s wherever its bytes happen to lie', async (datatype, data) => {
    for (const id of ['', 'x', 'xx', 'xxx', 'xxxx', 'xxxxx', 'xxxxxx', 'xxxxxxx']) {
      const input = tensor({ datatype, data: undefined, parameters: { binary_data_size: data.byteLength } });
      const { body, headers } = binaryBody({ id, inputs: [input] }, data);
      const response = await infer(body, headers);
      expect(response.status).toBe(200);
      expect(((await response.json()) as Answer).outputs[0]?.data).toEqual(pair(0.3));
    }
  });

  test('takes binary tensors of single features, and skips the bytes of one that is ignored', async () => {
    const { body, headers } = binaryBody(
      {
        inputs: [
          { name: 'customer_id', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: 10 } },
          { name: 'AGE', shape: [2], datatype: 'UINT8', parameters: { binary_data_size: 2 } },
          { name: 'SEX', shape: [2], datatype: 'INT64', data: [1, 2] },
          { name: 'OWNER', shape: [2, 1], datatype: 'BOOL', parameters: { binary_data_size: 2 } },
        ],
      },
      Buffer.from('\u0001\0\0\0a\u0001\0\0\0b'),
      Uint8Array.of(20, 30),
      Uint8Array.of(1, 0),
    );
    const response = await infer(body, headers);
    expect(((await response.json()) as Answer).outputs[0]?.data).toEqual([...pair(0.2), ...pair(0.3)]);
  });

  test('NaN in a binary tensor is a missing value', async () => {
    expect((await sendFloats(app, 30, 1, Number.NaN, Number.NaN))[0]).toBe(200);
    expect(await sendFloats(app, Number.NaN, 1, 1, 1)).toEqual([400, 'instance 0: AGE: is missing']);
    expect(await sendFloats(app, 30, 1, Number.POSITIVE_INFINITY, 1)).toEqual([
      400,
      'instance 0: INCOME: must be a finite number',
    ]);
  });

  test('answers in binary when asked, output by output', async () => {
    const inputs = [tensor()];
    const everything = await infer({ inputs, parameters: { binary_data_output: true } });
    expect(everything.headers.get('content-type')).toBe('application/octet-stream');
    const bytes = Buffer.from(await everything.arrayBuffer());
    const split = Number(everything.headers.get('inference-header-content-length'));
    expect(JSON.parse(bytes.subarray(0, split).toString())).toMatchObject({
      outputs: [
        { name: 'probabilities', parameters: { binary_data_size: 8 } },
        { name: 'decision', datatype: 'INT64', parameters: { binary_data_size: 8 } },
      ],
    });
    expect(bytes.length).toBe(split + 16);
    expect([bytes.readFloatLE(split), bytes.readFloatLE(split + 4)]).toEqual(pair(0.3));
    expect(bytes.readBigInt64LE(split + 8)).toBe(1n);

    const mixed = await infer({
      inputs,
      parameters: { binary_data_output: true },
      outputs: [{ name: 'decision' }, { name: 'probabilities', parameters: { binary_data: false } }],
    });
    const mixedBytes = Buffer.from(await mixed.arrayBuffer());
    const head = Number(mixed.headers.get('inference-header-content-length'));
    expect(JSON.parse(mixedBytes.subarray(0, head).toString())).toMatchObject({
      outputs: [
        { name: 'decision', parameters: { binary_data_size: 8 } },
        { name: 'probabilities', data: pair(0.3) },
      ],
    });
    expect(mixedBytes.length).toBe(head + 8);
  });

  test('a request without Content-Type is taken for JSON, as clients of other servers send it', async () => {
    const body = new Blob([JSON.stringify({ inputs: [tensor()] })]);
    const response = await fetch(`${app.url}/v2/models/credit/infer`, { method: 'POST', body });
    expect(response.status).toBe(200);
  });

  test('names the instance and the feature of values that are refused', async () => {
    const data = [30, 1, 5, 1, 17, 9, 5, 1];
    expect(await errorOf({ inputs: [tensor({ shape: [2, 4], data })] })).toEqual([
      400,
      'instance 1: AGE: must be >= 18; instance 1: SEX: must be one of the codes 1, 2',
    ]);
    const columns = [
      { name: 'AGE', shape: [2], datatype: 'FP32', data: [30, '17'] },
      { name: 'SEX', shape: [2], datatype: 'INT8', data: [1, 300] },
    ];
    expect(await errorOf({ inputs: columns })).toEqual([
      400,
      'instance 1: SEX: is no INT8; instance 1: AGE: must be an integer; instance 1: SEX: must be one of the codes 1, 2',
    ]);
    expect(session.runs).toEqual([]);
  });

  test.each([
    ['no object', [], 'body: must be a JSON object with "inputs"'],
    ['no inputs', {}, 'inputs: must be an array'],
    ['empty inputs', { inputs: [] }, 'inputs: must hold at least one tensor'],
    ['input no object', { inputs: [7] }, 'inputs[0]: must be an object'],
    ['no name', { inputs: [{}] }, 'inputs[0].name: must be a string'],
    [
      'datatype',
      { inputs: [{ name: 'x', datatype: 'FP16', shape: [1] }] },
      'inputs[0].datatype: must be one of BOOL, ',
    ],
    [
      'shape',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }] },
      'inputs[0].shape: must be an array of whole numbers',
    ],
    ['no data', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }] }, 'inputs[0].data: must be an array'],
    [
      'width',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] },
      'inputs[0].shape: is [1, 3]; expected [N, 4]',
    ],
    [
      'length',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4], data: [1] }] },
      'inputs[0]: has 1 elements; its shape [2, 4] takes 8',
    ],
    [
      'ragged',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4], data: [[1], [2]] }] },
      'inputs[0].data: must be flat, or nested as its shape',
    ],
    [
      'unknown feature',
      {
        inputs: [
          { name: 'AGE', datatype: 'FP32', shape: [1], data: [1] },
          { name: 'x', datatype: 'FP32', shape: [1], data: [1] },
        ],
      },
      'inputs[1].name: "x" is no feature of the model',
    ],
    [
      'twice',
      { inputs: [1, 2].map(() => ({ name: 'AGE', datatype: 'FP32', shape: [1], data: [1] })) },
      'inputs[1].name: "AGE" is given twice',
    ],
    [
      'rows',
      {
        inputs: [
          { name: 'AGE', datatype: 'FP32', shape: [1], data: [1] },
          { name: 'SEX', datatype: 'FP32', shape: [2], data: [1, 1] },
        ],
      },
      'inputs[1].shape: must have as many rows as inputs[0], 1',
    ],
    ['id', { id: 7, inputs: [] }, 'id: must be a string'],
    ['output', { inputs: [], outputs: [{ name: 'x' }] }, 'outputs[0].name: must be one of probabilities, decision'],
    [
      'binary size',
      { inputs: [{ name: 'x', parameters: { binary_data_size: 4 } }] },
      'inputs[0].parameters.binary_data_size: 4 bytes are more than the request holds',
    ],
    [
      'strings',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: 'abcd' }] },
      'inputs[0].data: must be an array',
    ],
  ])('refuses a request that is wrong in: %s', async (_name, body, message) => {
    const [status, error] = await errorOf(body);
    expect(status).toBe(400);
    expect(error.slice(0, message.length)).toBe(message);
  });

  test.each(['99999', '-1', 'x', '1e2', '', '9'.repeat(30)])(
    'refuses an Inference-Header-Content-Length of %j',
    async (length) => {
      const headers = { 'inference-header-content-length': length, 'content-type': 'application/octet-stream' };
      expect((await infer('{"inputs":[]}', headers)).status).toBe(400);
    },
  );

  test('bytes that no tensor owns are refused', async () => {
    const { body, headers } = binaryBody({ inputs: [tensor()] }, Uint8Array.of(1, 2, 3));
    expect(await errorOf(body, headers)).toEqual([
      400,
      expect.stringContaining('3 bytes of binary data belong to no input'),
    ]);
  });

  test('too many rows are 413, an unknown model or version 404', async () => {
    const rows = 65_537;
    const { body, headers } = binaryBody(
      { inputs: [{ name: 'x', shape: [rows, 4], datatype: 'UINT8', parameters: { binary_data_size: rows * 4 } }] },
      new Uint8Array(rows * 4),
    );
    expect((await infer(body, headers)).status).toBe(413);
    for (const path of ['/v2/models/none/infer', '/v2/models/credit/versions/9/infer']) {
      const response = await app.post(path, { inputs: [tensor()] });
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: expect.any(String) });
    }
    expect((await app.post('/v2/models/credit/versions/v%201%2F2/infer', { inputs: [tensor()] })).status).toBe(200);
  });
});
