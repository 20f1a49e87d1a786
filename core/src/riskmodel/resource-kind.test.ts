import { describe, expect, test } from '@jest/globals';
import { batchPredictionCrdFile, readResourceKind, riskModelCrdFile } from './resource-kind.ts';
import { writeSchemaCheck } from './schema-check.ts';
import type { StructuralSchema } from './structural-schema.ts';

const { apiVersion, kind, schema } = readResourceKind(riskModelCrdFile);

interface Field {
  path: string;
  field: StructuralSchema;
}

function fields(parent: StructuralSchema, path: string): Field[] {
  const children: Field[] = Object.entries(parent.properties ?? {}).map(([name, field]) => ({
    path: `${path}.${name}`,
    field,
  }));
  if (parent.items) children.push({ path: `${path}[]`, field: parent.items });
  return children.flatMap((child) => [child].concat(fields(child.field, child.path)));
}

describe('the CRD of RiskModel', () => {
  const declared = fields(schema.properties?.['spec'] ?? {}, 'spec');
  const reported = fields(schema.properties?.['status'] ?? {}, 'status');

  test('declares the kind that the contract names', () => {
    expect([apiVersion, kind]).toEqual(['riskmodel.io/v1alpha1', 'RiskModel']);
  });

  test('describes every field, for kubectl explain', () => {
    const silent = [...declared, ...reported].filter(({ field }) => field.description === undefined);
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test('bounds every string and list, so that the cost of rules has a bound', () => {
    const boundless = [...declared, ...reported].filter(
      ({ field }) =>
        (field.type === 'array' && field.maxItems === undefined) ||
        (field.type === 'string' && !field.maxLength && !field.enum && field.format !== 'date-time'),
    );
    expect(boundless.map(({ path }) => path)).toEqual([]);
  });
});

test.each([riskModelCrdFile, batchPredictionCrdFile])('the schema of %s is one that JSON schema allows', (file) => {
  expect(() => writeSchemaCheck(readResourceKind(file).schema)).not.toThrow();
});

test('a file that is not there is named', () => {
  expect(() => readResourceKind('absent.yaml')).toThrow("no such file or directory, open 'absent.yaml'");
});
