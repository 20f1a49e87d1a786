import { afterEach, describe, expect, test } from '@jest/globals';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';
import { runCommand } from '../testing/fake-terminal.ts';

let server: FakeServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function predict(answer: [number, unknown], args: string[], stdin?: string) {
  server = await startFakeServer(() => answer);
  const result = await runCommand(['predict', '--model', 'small', ...args], {
    env: { RISKMODEL_SERVER: server.url },
    ...(stdin !== undefined && { stdin }),
  });
  return { ...result, requests: server.requests };
}

const one: [number, unknown] = [200, { predictions: [[0.75, 0.25]] }];

test('prints the probabilities of each row', async () => {
  const answer: [number, unknown] = [200, { predictions: [[0.75, 0.25], [1, 0]] }]; // prettier-ignore
  const { exitCode, stdout, requests } = await predict(answer, ['--data', '[{"AGE": 24}, {"AGE": 30}]']);
  expect(stdout).toBe('  prob_0    prob_1\n0.750000  0.250000\n1.000000  0.000000\n');
  expect(exitCode).toBe(0);
  expect(requests).toEqual([
    { method: 'POST', path: '/v1/models/small:predict', body: '{"instances":[{"AGE": 24}, {"AGE": 30}]}' },
  ]);
});

test('-o json prints the pairs as the server gave them', async () => {
  const { stdout } = await predict(one, ['--data', '{"AGE": 24}', '-o', 'json']);
  expect(JSON.parse(stdout)).toEqual([[0.75, 0.25]]);
});

test('reads standard input when neither --data nor --file is given', async () => {
  const { requests } = await predict(one, [], '{"AGE": 24}\n{"AGE": 30}\n');
  expect(requests[0]?.body).toBe('{"instances":[{"AGE": 24},{"AGE": 30}]}');
});

test('sends numbers as they were written, so that one beyond 2^53 is refused instead of rounded', async () => {
  const { requests } = await predict(one, ['--data', '{"BILL": 9007199254740993}']);
  expect(requests[0]?.body).toContain('9007199254740993');
});

describe('an error answer exits 1 with the words of the server', () => {
  const cases: [why: string, status: number, body: unknown, stderr: string][] = [
    [
      'fields',
      422,
      {
        detail: [
          { loc: ['body', 'instances', 0, 'AGE'], msg: 'is missing', type: 'missing' },
          { loc: ['body', 'instances', 1, 'SEX'], msg: 'must be one of 1, 2', type: 'enum' },
        ],
      },
      'riskmodel: instances.0.AGE: is missing\nriskmodel: instances.1.SEX: must be one of 1, 2\n',
    ],
    ['detail', 404, { detail: 'model "small" is not served here' }, 'riskmodel: model "small" is not served here\n'],
    ['error', 400, { error: 'instances: must be an array' }, 'riskmodel: instances: must be an array\n'],
    ['a page of some other server', 502, '<html>', 'riskmodel: the server answered 502: <html>\n'],
  ];
  test.each(cases)('%s', async (_why, status, body, stderr) => {
    expect(await predict([status, body], ['--data', '{}'])).toMatchObject({ exitCode: 1, stdout: '', stderr });
  });
});

test('a server of another kind is an error', async () => {
  expect(await predict([200, { hello: 'world' }], ['--data', '{}'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^riskmodel: http:.* is not a riskmodel server\n$/),
  });
  await server?.close();
  expect(await predict([200, 'hello'], ['--data', '{}'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('did not answer with JSON: is it a riskmodel server?'),
  });
});

async function predictAs(status: number, args: string[], env: NodeJS.ProcessEnv = {}) {
  server = await startFakeServer(() => [status, status === 200 ? one[1] : { error: 'Unauthorized' }]);
  const result = await runCommand(['predict', '-m', 'small', '-d', '{}', ...args, '--server', server.url], { env });
  return { ...result, authorization: server.requests[0]?.authorization };
}

describe('a server that wants to know who calls', () => {
  test.each([
    ['--token', ['--token', 'rmk_1'], {}, 'Bearer rmk_1'],
    ['RISKMODEL_TOKEN, without the line break that files end with', [], { RISKMODEL_TOKEN: 'rmk_2\n' }, 'Bearer rmk_2'],
    ['--token, when there are both', ['--token', 'rmk_1'], { RISKMODEL_TOKEN: 'rmk_2' }, 'Bearer rmk_1'],
    ['nothing, when there is neither', [], {}, undefined],
  ])('is given %s', async (_what, args, env, authorization) => {
    expect(await predictAs(200, args, env)).toMatchObject({ exitCode: 0, authorization });
  });

  test.each([
    ['no token', 401, [], /wants to know who calls: give it an API key or a token in RISKMODEL_TOKEN\n$/],
    ['a wrong token', 401, ['--token', 'rmk_secret'], /does not accept the API key or token/],
    ['a caller who may not', 403, ['--token', 'rmk_secret'], /knows the caller, who may not do this\n$/],
  ])('and got %s is named, with what to do and without the token', async (_why, status, args, message) => {
    const { exitCode, stdout, stderr } = await predictAs(status, args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('rmk_secret');
  });

  test('is not sent a token that no header can hold', async () => {
    const { exitCode, stderr } = await predictAs(200, ['--token', 'two words']);
    expect(exitCode).toBe(2);
    expect(stderr).toBe('riskmodel: --token: must be one word of ASCII characters\n');
    expect(server?.requests).toEqual([]);
  });
});
