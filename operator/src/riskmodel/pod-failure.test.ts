import { expect, test } from '@jest/globals';
import { findPodFailure } from './pod-failure.ts';

function pod(
  status: unknown,
  name = 'pod-1',
): { apiVersion: string; kind: string; metadata: { name: string }; status: unknown } {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, status };
}

function container(status: Record<string, unknown>): unknown {
  return { containerStatuses: [{ name: 'server', ...status }] };
}

const crashed = {
  state: {
    waiting: {
      reason: 'CrashLoopBackOff',
      message: 'back-off 2m40s restarting failed container=server pod=credit-default-1a2b-xyz_risk(uid)',
    },
  },
  lastState: {
    terminated: {
      exitCode: 1,
      reason: 'Error',
      message:
        'something before\nriskmodel server: spec.artifact.uri: gs://b/m.onnx does not exist\n{"message":"stopped"}\n',
    },
  },
};

test.each<[name: string, pods: ReturnType<typeof pod>[], want: unknown]>([
  ['no pods', [], undefined],
  ['a pod that is being started', [pod(container({ state: { waiting: { reason: 'ContainerCreating' } } }))], undefined],
  ['a pod that runs', [pod(container({ state: { running: {} } }))], undefined],
  [
    'a program that gave up says why, in its own last line',
    [pod(container(crashed))],
    {
      reason: 'ContainerFailed',
      message: 'container server ended with exit code 1: spec.artifact.uri: gs://b/m.onnx does not exist',
    },
  ],
  [
    'a program that has just ended for the first time',
    [pod(container({ state: { terminated: { exitCode: 1, message: 'riskmodel server: no' } } }))],
    { reason: 'ContainerFailed', message: 'container server ended with exit code 1: no' },
  ],
  [
    'a program that said nothing',
    [pod(container({ state: { terminated: { exitCode: 137 } } }))],
    { reason: 'ContainerFailed', message: 'container server ended with exit code 137' },
  ],
  ['a container that ended well', [pod(container({ state: { terminated: { exitCode: 0 } } }))], undefined],
  [
    'too little memory',
    [pod(container({ state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }))],
    {
      reason: 'OutOfMemory',
      message: 'container server needs more memory than its limit: raise resources.limits.memory',
    },
  ],
  [
    'an image that is not there',
    [pod(container({ state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "x:1"' } } }))],
    { reason: 'ImagePullBackOff', message: 'container server: Back-off pulling image "x:1"' },
  ],
  [
    'a wait that grows does not show in the message',
    [
      pod(
        container({
          state: {
            waiting: {
              reason: 'CrashLoopBackOff',
              message: 'back-off 20s restarting failed container=server pod=a_b(c)',
            },
          },
        }),
      ),
    ],
    { reason: 'CrashLoopBackOff', message: 'container server: back-off restarting failed container=server' },
  ],
  [
    'no node has room',
    [
      pod({
        conditions: [
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message: '0/1 nodes are available: 1 Insufficient cpu.',
          },
        ],
      }),
    ],
    { reason: 'Unschedulable', message: 'no node can take a pod: 0/1 nodes are available: 1 Insufficient cpu.' },
  ],
  [
    'of several pods the one that says most is quoted',
    [pod(container({ state: { waiting: { reason: 'ErrImagePull' } } }), 'pod-1'), pod(container(crashed), 'pod-2')],
    expect.objectContaining({ reason: 'ContainerFailed' }),
  ],
])('%s', (_, pods, want) => {
  expect(findPodFailure(pods)).toEqual(want);
});
