// Sends one request and prints the answer's status and body. Runs in a pod, so it needs nothing but Node.
// Arguments: METHOD URL; the body on standard input, which may be empty
import { readFileSync } from 'node:fs';

const [method = 'GET', url = ''] = process.argv.slice(2);
const text = readFileSync(0, 'utf8');
const answer = await fetch(url, {
  method,
  ...(text && { body: text, headers: { 'content-type': 'application/json' } }),
  signal: AbortSignal.timeout(30_000),
});
process.stdout.write(JSON.stringify({ status: answer.status, body: await answer.text() }));
