import { describe, expect, test } from '@jest/globals';
import { compileRules } from './cel.ts';
import type { StructuralSchema, ValidationRule } from './structural-schema.ts';

const nothingIsBroken = (): boolean => false;

function withRule(rule: ValidationRule): StructuralSchema {
  return {
    type: 'object',
    properties: {
      list: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            whole: { type: 'integer' },
            real: { type: 'number' },
            either: { 'x-kubernetes-int-or-string': true },
          },
          'x-kubernetes-validations': [rule],
        },
      },
    },
  };
}

function check(rule: ValidationRule, item: unknown): unknown {
  return compileRules(withRule(rule))({ list: [{}, item] }, (path) => path === 'list[0]');
}

describe('a rule', () => {
  test.each([
    { name: 'an integer is an int', rule: 'self.whole + 1 == 3', item: { whole: 2 } },
    { name: 'a number is a double, whole or not', rule: 'self.real / 2.0 == 1.5', item: { real: 3 } },
    { name: 'int-or-string is an int if it can be', rule: 'self.either == 7', item: { either: 7 } },
    { name: 'int-or-string is a string else', rule: "self.either == '7'", item: { either: '7' } },
    { name: 'a field that the schema does not name is hidden', rule: '!has(self.other)', item: { other: 1 } },
    { name: 'a rule about a change has nothing to compare with', rule: 'self.whole == oldSelf.whole', item: {} },
  ])('is asked so that $name', ({ rule, item }) => {
    expect(check({ rule }, item)).toEqual([]);
  });

  test.each([
    {
      name: 'its message, at the item',
      rule: { rule: 'false', message: 'must not be' },
      want: [{ path: 'list[1]', message: 'must not be' }],
    },
    {
      name: 'the field it names',
      rule: { rule: 'false', message: 'must not be', fieldPath: '.whole' },
      want: [{ path: 'list[1].whole', message: 'must not be' }],
    },
    {
      name: 'itself when it has no message',
      rule: { rule: 'self.whole > 5' },
      want: [{ path: 'list[1]', message: 'failed rule: self.whole > 5' }],
    },
    {
      name: 'what its message expression makes',
      rule: { rule: 'false', messageExpression: "'is %s'.replace('%s', string(self.whole))", message: 'is wrong' },
      want: [{ path: 'list[1]', message: 'is 2' }],
    },
    {
      name: 'its message when the expression fails',
      rule: { rule: 'false', messageExpression: 'string(self.absent)', message: 'is wrong' },
      want: [{ path: 'list[1]', message: 'is wrong' }],
    },
    {
      name: 'its message when it fails itself, for then it does not hold',
      rule: { rule: 'self.absent == 1', message: 'is wrong' },
      want: [{ path: 'list[1]', message: 'is wrong' }],
    },
  ])('that does not hold gives $name', ({ rule, want }) => {
    expect(check(rule, { whole: 2 })).toEqual(want);
  });

  test('that is not CEL is found when it is compiled', () => {
    expect(() => compileRules(withRule({ rule: 'self.whole >' }))).toThrow('Unexpected token');
  });
});

test('strings of numbers are written as Kubernetes writes them', () => {
  const schema: StructuralSchema = {
    type: 'number',
    'x-kubernetes-validations': [{ rule: 'false', messageExpression: 'string(self)' }],
  };
  const write = (value: number): string | undefined => compileRules(schema)(value, nothingIsBroken)[0]?.message;
  expect([9, -2, 0.25, 1e30].map(write)).toEqual(['9', '-2', '0.25', '1e+30']);
});
