import { describeRuns } from './google-cloud-runs.ts';

describeRuns(500, { coversAll: true });
