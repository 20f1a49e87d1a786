// Starts a cluster, says where its folders are, and waits to be killed.
import { startCluster } from '../harness/cluster/cluster.ts';

const { folder, plane } = await startCluster();
process.stdout.write(`${JSON.stringify([folder, plane.folder])}\n`);
setInterval(() => {}, 60_000);
