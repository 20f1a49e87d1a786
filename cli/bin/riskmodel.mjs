#!/usr/bin/env node
// Starts the command line on a Node that runs TypeScript: this one, or the one that the checkout pins. Plain
// JavaScript, because it is what runs first, on whatever Node the machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endWithNpm } from './end-with-npm.mjs';

const oldestNode = 24;

endWithNpm();

if (Number(process.versions.node.split('.')[0]) >= oldestNode) {
  await import('../src/main.ts');
} else {
  const pinned = ['../../node_modules/.bin/node', '../node_modules/.bin/node']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (pinned === undefined) {
    process.stderr.write(
      `riskmodel: Node.js ${process.versions.node} is too old: install Node.js >= ${oldestNode}, or run npm install here\n`,
    );
    process.exit(1);
  }
  // The IPC channel tells the child when this process is killed.
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal's Ctrl-C reaches the child without help.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal)));
  }
  child.on('error', (error) => {
    process.stderr.write(`riskmodel: cannot start ${pinned}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code) => process.exit(code ?? 1));
}
