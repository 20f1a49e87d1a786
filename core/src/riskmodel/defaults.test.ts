import { describe, expect, test } from '@jest/globals';
import { applyDefaults } from './defaults.ts';
import type { StructuralSchema } from './structural-schema.ts';

const schema: StructuralSchema = {
  type: 'object',
  properties: {
    plain: { type: 'string' },
    count: { type: 'integer', default: 3 },
    nullable: { type: 'string', nullable: true, default: 'x' },
    nested: { type: 'object', default: {}, properties: { on: { type: 'boolean', default: true } } },
    optional: { type: 'object', properties: { on: { type: 'boolean', default: true } } },
    list: { type: 'array', items: { type: 'object', properties: { on: { type: 'boolean', default: true } } } },
    map: {
      type: 'object',
      additionalProperties: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
    },
  },
};
const defaults = { count: 3, nullable: 'x', nested: { on: true } };

describe('applyDefaults', () => {
  test.each([
    { name: 'gives absent fields their defaults, down from an empty object', value: {}, want: defaults },
    {
      name: 'keeps what is given',
      value: { count: 0, nested: { on: false } },
      want: { ...defaults, count: 0, nested: { on: false } },
    },
    {
      name: 'takes a null that is not allowed for absent',
      value: { plain: null, count: null, nested: null },
      want: defaults,
    },
    { name: 'keeps a null that is allowed', value: { nullable: null }, want: { ...defaults, nullable: null } },
    {
      name: 'goes into an optional object that is there',
      value: { optional: {} },
      want: { ...defaults, optional: { on: true } },
    },
    {
      name: 'goes into lists and maps',
      value: { list: [{}, null], map: { a: {} } },
      want: { ...defaults, list: [{ on: true }, null], map: { a: { n: 1 } } },
    },
    {
      name: 'leaves what is wrong for validation to find',
      value: { count: 'many', nested: [], other: 1 },
      want: { ...defaults, count: 'many', nested: [], other: 1 },
    },
  ])('$name', ({ value, want }) => {
    const before = structuredClone(value);
    expect(applyDefaults(value, schema)).toEqual(want);
    expect(value).toEqual(before);
  });
});
