import type { KubeObject } from '../kube/object.ts';

/** Why a revision's pods don't come up, in words for people. */
export interface PodFailure {
  /** UpperCamelCase, as Kubernetes' reasons. */
  reason: string;
  message: string;
}

interface ContainerStatus {
  name: string;
  restartCount?: number;
  state?: { waiting?: { reason?: string; message?: string }; terminated?: Terminated };
  lastState?: { terminated?: Terminated };
}

interface Terminated {
  reason?: string;
  exitCode?: number;
  message?: string;
}

interface PodStatus {
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
  containerStatuses?: ContainerStatus[];
}

/** Reasons of a waiting container that waiting alone does not cure. */
const stuck = new Set([
  'CrashLoopBackOff',
  'ImagePullBackOff',
  'ErrImagePull',
  'ErrImageNeverPull',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/** The first thing that keeps one of the pods from becoming ready; undefined when they may just need time. */
export function findPodFailure(pods: readonly KubeObject[]): PodFailure | undefined {
  const failures = pods
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((pod) => failureOf(pod['status'] as PodStatus | undefined))
    .filter((failure) => failure !== undefined);
  // What the program said about itself explains more than that it was started again.
  return failures.find(({ reason }) => reason === 'ContainerFailed') ?? failures[0];
}

function failureOf(status: PodStatus | undefined): PodFailure | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return { reason: 'Unschedulable', message: `no node can take a pod: ${scheduled.message ?? 'no reason given'}` };
  }
  for (const container of status?.containerStatuses ?? []) {
    const ended = container.state?.terminated ?? container.lastState?.terminated;
    if (ended !== undefined && ended.exitCode !== 0) return endedFailure(container, ended);
    const waiting = container.state?.waiting;
    if (waiting?.reason !== undefined && stuck.has(waiting.reason)) {
      const detail = stableMessage(waiting.message);
      return { reason: waiting.reason, message: `container ${container.name}: ${detail ?? waiting.reason}` };
    }
  }
  return undefined;
}

function endedFailure(container: ContainerStatus, ended: Terminated): PodFailure {
  if (ended.reason === 'OOMKilled') {
    return {
      reason: 'OutOfMemory',
      message: `container ${container.name} needs more memory than its limit: raise resources.limits.memory`,
    };
  }
  const lastWords = findLastWords(ended.message);
  const said = lastWords === undefined ? '' : `: ${lastWords}`;
  return {
    reason: 'ContainerFailed',
    message: `container ${container.name} ended with exit code ${ended.exitCode ?? '?'}${said}`,
  };
}

/** What the program gave as its reason, as `riskmodel server: ...`, among the last lines of its log; else the last line. */
function findLastWords(log: string | undefined): string | undefined {
  const lines = (log ?? '').split('\n').filter((line) => line.trim() !== '');
  const reason = lines.findLast((line) => /^riskmodel [a-z-]+: /.test(line));
  return reason?.replace(/^riskmodel [a-z-]+: /, '') ?? lines.at(-1)?.trim();
}

/** Kubernetes puts growing waits and pod names into messages; a condition that changes with them would flap. */
function stableMessage(message: string | undefined): string | undefined {
  return message?.replace(/^back-off \S+ /, 'back-off ').replace(/ pod=\S+.*$/, '');
}
