// Asks for predictions at a fixed rate, however long the answers take (an open loop), until it gets SIGTERM. Then it waits
// for what is under way and writes what became of every request. Runs in a pod, so it needs nothing but Node.
// Arguments: URL RATE RESULT_FILE; the body of the requests on standard input
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent, request, type IncomingMessage } from 'node:http';

const [url = '', rate = '', resultFile = ''] = process.argv.slice(2);
const body = readFileSync(0, 'utf8');
const periodMs = 1_000 / Number(rate);
/** On a machine that is busy with other things an answer may be late; it has failed when it does not come at all. */
const timeoutMs = 60_000;

/** First in, first out: each connection is used again and again, as those of a pool of clients are. */
const keptAlive = new Agent({ keepAlive: true, maxSockets: 64, scheduling: 'fifo' });

const failures: Record<string, number> = {};
const answersMs: number[] = [];
let asked = 0;
let underWay = 0;
const startedAt = performance.now();

/** Every other request opens a connection of its own. */
function ask(): void {
  const isNew = asked++ % 2 === 0;
  underWay++;
  const sentAt = performance.now();
  const end = (problem?: string): void => {
    underWay--;
    const seconds = ((sentAt - startedAt) / 1_000).toFixed(0);
    if (problem === undefined) answersMs.push(performance.now() - sentAt);
    else count(`${isNew ? 'new' : 'kept'} connection, ${seconds} s after the start: ${problem}`);
  };
  const outgoing = request(`${url}/risk-online-prediction`, {
    method: 'POST',
    agent: isNew ? false : keptAlive,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    signal: AbortSignal.timeout(timeoutMs),
  });
  let isOver = false;
  const once = (problem?: string): void => {
    if (!isOver) end(problem);
    isOver = true;
  };
  outgoing.on('error', (error: NodeJS.ErrnoException) => once(error.code ?? error.message));
  outgoing.on('response', (incoming) => read(incoming, once));
  outgoing.end(body);
}

function read(incoming: IncomingMessage, once: (problem?: string) => void): void {
  let text = '';
  incoming.setEncoding('utf8');
  incoming.on('data', (part: string) => (text += part));
  incoming.on('error', (error) => once(error.message));
  incoming.on('end', () => {
    if (incoming.statusCode !== 200) once(`HTTP ${incoming.statusCode}`);
    else once(isPrediction(text) ? undefined : 'not a pair of probabilities');
  });
}

function isPrediction(text: string): boolean {
  try {
    const pair: unknown = JSON.parse(text);
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    const [zero, one] = pair as [unknown, unknown];
    if (typeof zero !== 'number' || typeof one !== 'number') return false;
    return zero >= 0 && one >= 0 && Math.abs(zero + one - 1) < 1e-6;
  } catch {
    return false;
  }
}

function count(failure: string): void {
  failures[failure] = (failures[failure] ?? 0) + 1;
}

function askWhatIsDue(): void {
  const due = Math.floor((performance.now() - startedAt) / periodMs) + 1;
  while (asked < due) ask();
}

const ticking = setInterval(askWhatIsDue, 5);

process.on('SIGTERM', () => {
  clearInterval(ticking);
  // On a busy machine the last tick may be long ago.
  askWhatIsDue();
  const seconds = (performance.now() - startedAt) / 1_000;
  const ending = setInterval(() => {
    if (underWay > 0) return;
    clearInterval(ending);
    keptAlive.destroy();
    const sorted = answersMs.toSorted((a, b) => a - b);
    const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    const result = { asked, answered: answersMs.length, failures, seconds, p50: quantile(0.5), p99: quantile(0.99) };
    // Whoever sees the file sees all of it.
    writeFileSync(`${resultFile}.partial`, JSON.stringify(result));
    renameSync(`${resultFile}.partial`, resultFile);
  }, 20);
});
