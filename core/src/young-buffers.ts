// To be imported first. From the young generation's capacity V8 also takes after how many bytes of new buffers it looks for
// those that nobody has any more. Since its capacity is 32 MB (Node 24), that is later than the limit from which on all
// of the heap is marked for them: a worker, which lets hundreds of megabytes pass through, was at that for a quarter of its
// time, and a server that reads bodies of kilobytes holds up all requests for 20 ms every second. 8 MB is what it was
// before (https://github.com/nodejs/node/issues/61967).
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--scavenger-max-new-space-capacity-mb=8');
