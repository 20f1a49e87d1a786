// `npm run bench -- online|batch|queue|startup`: measures the product on this machine, in one run, beside what it is
// compared with, and checks every answer meanwhile. Prints a table in Markdown.
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { batchFormats, benchBatch } from './batch/batch.ts';
import { markdownTable } from './markdown-table.ts';
import { callTitles, type CallName } from './online/calls.ts';
import { benchOnline, type OnlineRow } from './online/online.ts';
import { benchQueue } from './queue/queue.ts';
import { benchStartup } from './startup/startup.ts';
import { readCpuTimes, stolenSince } from './stolen-time.ts';

const usage = `Usage: npm run bench -- online|batch|queue|startup [--peers] [--only A,B] [--quick] [--json FILE]

  online    requests a second and latency of one applicant a request, and of the Open Inference Protocol with 1 and 100
            rows, against bare node:http with onnxruntime (the floor) and bare Express; closed loops (wrk), then an open
            one at half of the best rate (vegeta); server on one core, load on the other
  batch     rows a second and memory of a large file, from Parquet, CSV and NDJSON, to a warehouse of Parquet files; and
            ten times as many rows from Parquet with two workers
  queue     small batches a second, from being submitted to being in the warehouse
  startup   how soon a server is ready and a worker at work; memory of a server before and after a load

  --peers      the servers and scripts of the Python world as well (online, batch), each installed once, at fixed versions, into the cache
  --only A,B   those with A or B in their names alone (online), such as floor,server
  --trees N    trees of the model that is trained for --peers (20)
  --depth N    their depth (3)
  --quick      one short round: whether it works, not how fast it is
  --json FILE  writes the figures there as well`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    trees: { type: 'string', default: '20' },
    depth: { type: 'string', default: '3' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const isQuick = values.quick;

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What is printed, and what `--json` writes. */
interface Report {
  table: string;
  figures: unknown;
}

const benches: Record<string, () => Promise<Report>> = {
  async online() {
    const model = {
      withPeers: values.peers,
      only: values.only.split(',').filter((part) => part !== ''),
      trees: Number(values.trees),
      depth: Number(values.depth),
    };
    const calls = ['record', 'oip', 'oip100'] as const;
    // Turns are short: what the floor is compared with should have the same machine, whose speed changes by the minute.
    const full = { connections: [1, 16, 64, 256], rounds: 9, seconds: 1 };
    const size = isQuick ? { connections: [1, 64], rounds: 1, seconds: 2 } : full;
    const rows = await benchOnline({ ...size, ...model, calls, log });
    const measured = calls.filter((call) => rows.some((row) => row.call === call));
    return { table: measured.map((call) => onlineTable(call, rows)).join('\n\n'), figures: rows };
  },
  async batch() {
    const rows = isQuick ? 100_000 : 2_000_000;
    const rounds = isQuick ? 1 : 3;
    const found = [
      ...(await benchBatch({ rows, formats: batchFormats, workers: 1, rounds, withPeers: values.peers, log })),
      ...(await benchBatch({ rows: 10 * rows, formats: ['parquet'], workers: 2, rounds: 1, withPeers: false, log })),
    ];
    const table = markdownTable(
      ['', 'input', 'rows', 'rows/s', 'slowest to fastest', 'seconds', 'MB a process'],
      found.map(({ name, format, rows: count, rate, slowest, fastest, peakBytes }) => [
        name,
        format,
        thousands(count),
        thousands(rate),
        `${thousands(slowest)} to ${thousands(fastest)}`,
        (count / rate).toFixed(1),
        megabytes(peakBytes),
      ]),
    );
    return { table, figures: found };
  },
  async queue() {
    const size = isQuick ? { batches: 500, rounds: 1 } : { batches: 10_000, rounds: 1 };
    const found = await benchQueue({ ...size, rows: 10, log });
    const table = markdownTable(
      ['', 'batches', 'rows each', 'enqueued/s', 'done/s', 'slowest to fastest'],
      [
        [
          'riskmodel, one worker',
          thousands(found.batches),
          String(found.rows),
          thousands(found.enqueued),
          thousands(found.rate),
          `${thousands(found.slowest)} to ${thousands(found.fastest)}`,
        ],
      ],
    );
    return { table, figures: found };
  },
  async startup() {
    const found = await benchStartup({
      ...(isQuick ? { rounds: 1, loadSeconds: 5 } : { rounds: 7, loadSeconds: 90 }),
      log,
    });
    const table = markdownTable(
      ['', 'measured'],
      [
        ['server in a pod, start to ready', milliseconds(found.image.serverReadyMs)],
        ["of `riskmodel up`, with Node's compile cache", milliseconds(found.local.serverReadyMs)],
        ['of the sources', milliseconds(found.sources.serverReadyMs)],
        ['worker in a pod, start to first job', milliseconds(found.image.workerFirstJobMs)],
        ["of `riskmodel up`, with Node's compile cache", milliseconds(found.local.workerFirstJobMs)],
        ['of the sources', milliseconds(found.sources.workerFirstJobMs)],
        ['idle server of a pod', `${megabytes(found.idleBytes)} MB`],
        ['the same after a tenth of the load', `${megabytes(found.earlyBytes)} MB`],
        [`the same after ${thousands(found.requests)} requests`, `${megabytes(found.lateBytes)} MB`],
      ],
    );
    return { table, figures: found };
  },
};

function thousands(count: number): string {
  return Math.round(count).toLocaleString('en');
}

function milliseconds(time: number): string {
  return `${time.toFixed(0)} ms`;
}

function megabytes(bytes: number): string {
  return Math.round(bytes / 1e6).toString();
}

function onlineTable(call: CallName, all: readonly OnlineRow[]): string {
  const rows = all.filter((row) => row.call === call);
  const byConnections = rows.toSorted((a, b) => (a.connections ?? 0) - (b.connections ?? 0));
  const table = markdownTable(
    ['server', 'connections', 'requests/s', 'slowest to fastest', 'of the floor', 'p50 ms', 'p99 ms', "of the floor's"],
    byConnections.flatMap(({ name, connections, rate, slowest, fastest, p50, p99, ofFloor }) =>
      connections === undefined
        ? []
        : [
            [
              name,
              String(connections),
              rate.toFixed(0),
              `${slowest.toFixed(0)} to ${fastest.toFixed(0)}`,
              ofFloor.rate.toFixed(2),
              p50.toFixed(2),
              p99.toFixed(2),
              `${ofFloor.p50.toFixed(2)}, ${ofFloor.p99.toFixed(2)}`,
            ],
          ],
    ),
  );
  const open = markdownTable(
    ['open loop, at half of its best rate', 'sent/s', 'p50 ms', 'p99 ms', 'p99.9 ms', "of the floor's"],
    rows.flatMap(({ name, offered, rate, p50, p99, p999, ofFloor }) => {
      if (offered === undefined) return [];
      // A load that falls behind measures itself.
      const isBehind = rate < 0.95 * offered;
      const times = [p50, p99, p999, ofFloor.p999].map((time) => (isBehind ? '-' : time.toFixed(2)));
      return [[name, isBehind ? `${offered}, more than the load can send` : String(offered), ...times]];
    }),
  );
  return `${callTitles[call]}\n\n${table}\n\n${open}`;
}

const [name = '', ...more] = positionals;
const bench = more.length === 0 && Object.hasOwn(benches, name) ? benches[name] : undefined;
if (values.help === true || bench === undefined) {
  process.stdout.write(`${usage}\n`);
  process.exitCode = values.help === true ? 0 : 2;
} else if (availableParallelism() < 2) {
  process.stderr.write('riskmodel bench: needs two cores, one for the server and one for the load\n');
  process.exitCode = 1;
} else {
  const before = readCpuTimes();
  const { table, figures } = await bench();
  const stolen = `${(100 * stolenSince(before)).toFixed(1)} % of their time given to others by the host`;
  const machine = `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores (${stolen}), Node ${process.version}`;
  process.stdout.write(`${machine}\n\n${table}\n`);
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify({ machine, figures }, undefined, 1));
}
