import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

/** Prints which of the two are loaded by then. */
const script = (then: string): string => `
import { registerHooks } from 'node:module';
const loaded = new Set();
registerHooks({
  resolve(specifier, context, next) {
    if (['jose', 'rate-limiter-flexible'].includes(specifier)) loaded.add(specifier);
    return next(specifier, context);
  },
});
const { RunningServer } = await import('../running-server.ts');
const { openGuard } = await import('./open-guard.ts');
${then}
console.log(JSON.stringify([typeof RunningServer, ...loaded]));
`;

async function loadedAfter(then: string): Promise<unknown> {
  const args = ['--input-type=module', '--eval', script(then)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
  return JSON.parse(stdout);
}

test('a server loads what judges tokens and counts requests only when it is told to', async () => {
  const none = `await openGuard({ methods: [], limits: {} }, {});`;
  expect(await loadedAfter(none)).toEqual(['function']);
  // The same with both, so that the way of telling is known to work.
  const oidc = `{ issuer: 'i', jwksUri: new URL('https://i.example'), audiences: [], allowedEmails: new Map() }`;
  const both = `await openGuard({ methods: ['oidc'], oidc: ${oidc}, limits: { online: { requests: 1, seconds: 1 } } }, {});`;
  expect(await loadedAfter(both)).toEqual(['function', 'jose', 'rate-limiter-flexible']);
}, 60_000);
