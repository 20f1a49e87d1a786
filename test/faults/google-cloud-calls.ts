/** Every kind of call that a batch makes of Cloud Storage and BigQuery, in the order in which they first come. */
export const callKinds = [
  'storage: stat artifact',
  'storage: read artifact',
  'storage: stat input',
  'storage: read input',
  'storage: stat staged',
  'storage: read staged',
  'storage: upload',
  'storage: list',
  'storage: delete',
  'bigquery: get dataset',
  'bigquery: get table',
  'bigquery: create table',
  'bigquery: patch table',
  'bigquery: insert job',
  'bigquery: get job',
] as const;
export type CallKind = (typeof callKinds)[number];

/** Calls that a worker makes once in its life, as it remembers their answers. */
export const callsOfNewWorkers: readonly CallKind[] = [
  'storage: stat artifact',
  'storage: read artifact',
  'bigquery: get dataset',
];

interface Call {
  method: string;
  path: string;
}

/** What kind of call of Cloud Storage it is. Throws when it is none that batches were known to make. */
export function storageCall({ method, path }: Call): CallKind {
  const { pathname, searchParams } = new URL(path, 'http://storage');
  if (method === 'POST' && pathname.startsWith('/upload/')) return 'storage: upload';
  const object = /\/b\/[^/]+\/o\/(.+)$/.exec(pathname)?.[1];
  if (object === undefined && method === 'GET') return 'storage: list';
  if (object !== undefined && method === 'DELETE') return 'storage: delete';
  if (object !== undefined && method === 'GET') {
    const verb = searchParams.get('alt') === 'media' ? 'read' : 'stat';
    return `storage: ${verb} ${roleOf(decodeURIComponent(object))}`;
  }
  throw new Error(`a call of Cloud Storage that is not in the list: ${method} ${path}`);
}

function roleOf(object: string): 'artifact' | 'input' | 'staged' {
  if (object.endsWith('.onnx')) return 'artifact';
  return object.includes('/staging/') ? 'staged' : 'input';
}

/** What kind of call of BigQuery it is. Throws when it is none that batches were known to make. */
export function bigQueryCall({ method, path }: Call): CallKind {
  const { pathname } = new URL(path, 'http://bigquery');
  const [, below = ''] = /\/projects\/[^/]+(\/.*)$/.exec(pathname) ?? [];
  const patterns: [method: string, pattern: RegExp, kind: CallKind][] = [
    ['GET', /^\/datasets\/[^/]+$/, 'bigquery: get dataset'],
    ['GET', /^\/datasets\/[^/]+\/tables\/[^/]+$/, 'bigquery: get table'],
    ['POST', /^\/datasets\/[^/]+\/tables$/, 'bigquery: create table'],
    ['PATCH', /^\/datasets\/[^/]+\/tables\/[^/]+$/, 'bigquery: patch table'],
    ['POST', /^\/jobs$/, 'bigquery: insert job'],
    ['GET', /^\/jobs\/[^/]+$/, 'bigquery: get job'],
  ];
  const found = patterns.find(([wanted, pattern]) => wanted === method && pattern.test(below));
  if (found === undefined) throw new Error(`a call of BigQuery that is not in the list: ${method} ${path}`);
  return found[2];
}
