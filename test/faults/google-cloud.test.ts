// The beginning of what `npm test -- --long faults/google-cloud` makes 500 runs of.
import { describeRuns } from './google-cloud-runs.ts';

describeRuns(24, { coversAll: false });
