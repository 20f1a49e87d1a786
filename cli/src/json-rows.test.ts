import { describe, expect, test } from '@jest/globals';
import { jsonRows } from './json-rows.ts';

describe('the text of the rows is kept', () => {
  const cases: [why: string, text: string, rows: string][] = [
    ['an object', ' {"A": 1}\n', '[{"A": 1}]'],
    ['an object over several lines', '{\n"A": 1\n}', '[{\n"A": 1\n}]'],
    ['an array of objects', '[{"A": 1}, {"A": 2}]', '[{"A": 1}, {"A": 2}]'],
    ['a row of numbers is one row', '[1, 2.50]', '[[1, 2.50]]'],
    ['rows of numbers', '[[1, 2], [3, 4]]', '[[1, 2], [3, 4]]'],
    ['an object a line, with empty lines', '{"A": 1}\r\n\n{"A": 1e400}\n', '[{"A": 1},{"A": 1e400}]'],
  ];
  test.each(cases)('%s', (_why, text, rows) => expect(jsonRows(text, 'x')).toBe(rows));
});

describe('what is wrong is said', () => {
  const cases: [why: string, text: string, message: string][] = [
    ['nothing', ' \n', 'x: is empty; expected a JSON object or an array of them'],
    ['no rows', '[]', 'x: has no rows'],
    ['one line', 'AGE=24', `x: is not JSON: Unexpected token 'A', "AGE=24" is not valid JSON`],
    [
      'a broken line',
      '{"A": 1}\n{"A": }\n',
      `x, line 2: is not JSON: Unexpected token '}', "{"A": }" is not valid JSON`,
    ],
    [
      'an object over several lines that is cut off',
      '{\n"A": 1,\n',
      'x: is not JSON: Expected double-quoted property name in JSON at position 10 (line 3 column 1)',
    ],
  ];
  test.each(cases)('%s', (_why, text, message) => expect(() => jsonRows(text, 'x')).toThrow(message));
});
