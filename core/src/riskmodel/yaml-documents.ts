import { LineCounter, parseAllDocuments } from 'yaml';
import type { Document, YAMLError } from 'yaml';
import { ManifestError } from './problem.ts';

/**
 * YAML tags that kubectl doesn't know. Otherwise this is YAML 1.1, as kubectl reads it: an unquoted `yes` or `n` is a
 * boolean, `010` is eight, `<<` merges.
 */
const unknownToKubectl = new Set(
  ['binary', 'omap', 'pairs', 'set', 'timestamp'].map((tag) => `tag:yaml.org,2002:${tag}`),
);

/**
 * Reads a file of YAML documents the way kubectl does. Documents that are empty are left out.
 * @returns the value of each document and its number in the file, from 1.
 * @throws ManifestError with `FILE:LINE:COLUMN` for each syntax error; a key that is given twice is one.
 */
export function parseYamlDocuments(text: string, file: string): { number: number; value: unknown }[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    schema: 'yaml-1.1',
    // Sexagesimal numbers (12:30:45) have a format of their own; kubectl takes them for strings.
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === 'string' || !(unknownToKubectl.has(tag.tag) || ('format' in tag && tag.format === 'TIME')),
      ),
    lineCounter: lines,
    prettyErrors: false,
  }) as Document.Parsed[];
  const errors = documents.flatMap((document) => [...document.errors, ...document.warnings]);
  if (errors.length > 0) {
    throw new ManifestError(
      errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { source: `${file}:${line}:${col}`, path: '', message: explain(error, text) };
      }),
    );
  }
  return documents
    .map((document, index) => ({ number: index + 1, value: toValue(document, file) }))
    .filter(({ value }) => value !== null);
}

function explain(error: YAMLError, text: string): string {
  if (error.code === 'DUPLICATE_KEY') {
    const [key = ''] = /^(?:"[^"\n]*"|'[^'\n]*'|[^:\n{}[\],]*)/.exec(text.slice(error.pos[0])) ?? [];
    return `the key ${key.trim()} is given twice in one mapping`;
  }
  return `not YAML: ${error.message}`;
}

function toValue(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // Aliases that multiply beyond reason, or that name no anchor.
    throw new ManifestError([{ source: file, path: '', message: `not YAML: ${(error as Error).message}` }]);
  }
}
