// Runs `helm lint --strict` over the chart, with the helm that the tests use.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureBinaries } from '../test/harness/cluster/binaries.ts';

const chart = join(import.meta.dirname, '..', 'charts', 'risk-model');
const { helm } = await ensureBinaries(['helm'], (line) => console.error(line));
const { status } = spawnSync(helm, ['lint', '--strict', chart], { stdio: 'inherit' });
process.exitCode = status ?? 1;
