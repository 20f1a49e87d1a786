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
