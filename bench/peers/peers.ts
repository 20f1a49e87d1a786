import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePython } from '../../test/harness/python-environment.ts';
import type { Contender } from '../online/contenders.ts';
import type { Workbench } from '../workbench.ts';

const folder = import.meta.dirname;

/** The Python of a peer; installed, at fixed versions, when it is not there yet. */
export async function peerPython(name: string): Promise<string> {
  const { python } = await ensurePython({
    name: `bench-${name}`,
    requirements: join(folder, `requirements-${name}.txt`),
    version: '3.11',
    notice: `installing ${name} to compare with, which takes a minute or more`,
  });
  return python;
}

/** Each library's own thread pools would compete for the one core that a server has. */
const oneThread = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };

/** A server of the Python world, before its Python is there. */
interface Peer extends Pick<Contender, 'name' | 'calls' | 'output'> {
  environment: string;
  start: (python: string) => Contender['start'] | Promise<Contender['start']>;
}

/** The servers of the Python world whose names are wanted, installed if need be. */
export async function peers(bench: Workbench, isWanted: (name: string) => boolean): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const { environment, start, ...peer } of allPeers(bench)) {
    if (!isWanted(peer.name)) continue;
    contenders.push({ ...peer, start: await start(await peerPython(environment)), isExact: false });
  }
  return contenders;
}

function allPeers({ artifact, xgboostModel, dataDir, features: names }: Workbench): Peer[] {
  const features = JSON.stringify(names);
  const record = { record: '/risk-online-prediction' };
  const inference = { oip: '/v2/models/credit-default/infer', oip100: '/v2/models/credit-default/infer' };
  const script = (file: string, model: string): Peer['start'] => {
    const args = [join(folder, file), model, features];
    return (python) => (port) => ({ command: python, args: [...args, String(port)], env: oneThread });
  };
  return [
    {
      name: 'FastAPI + pandas + XGBoost (the original service)',
      environment: 'fastapi',
      start: script('original.py', xgboostModel),
      calls: record,
    },
    {
      name: 'FastAPI + onnxruntime, tuned',
      environment: 'fastapi',
      start: script('fastapi_onnx.py', artifact),
      calls: record,
    },
    {
      name: 'BentoML',
      environment: 'bentoml',
      start: (python) => (port) => ({
        command: join(python, '..', 'bentoml'),
        args: ['serve', 'bentoml_service:Risk', '--host=127.0.0.1', `--port=${port}`, `--working-dir=${folder}`],
        env: { ...oneThread, BENCH_MODEL: artifact, BENCH_FEATURES: features, BENTOML_DO_NOT_TRACK: 'True' },
      }),
      calls: record,
    },
    { name: 'Ray Serve', environment: 'ray', start: script('ray_serve.py', artifact), calls: record },
    {
      name: "KServe's Python server",
      environment: 'kserve',
      start: script('kserve_server.py', artifact),
      calls: inference,
    },
    {
      name: 'MLServer (XGBoost)',
      environment: 'mlserver',
      start: async (python) => {
        const settings = await writeMlserverFolder(dataDir, xgboostModel);
        return (port) => ({
          command: join(python, '..', 'mlserver'),
          args: ['start', settings],
          env: { ...oneThread, MLSERVER_HTTP_PORT: String(port), MLSERVER_GRPC_PORT: '0' },
        });
      },
      calls: inference,
      output: 'predict_proba',
    },
  ];
}

/** MLServer is configured by files in the folder that it is started with. */
async function writeMlserverFolder(dataDir: string, model: string): Promise<string> {
  const target = join(dataDir, 'mlserver');
  await mkdir(target, { recursive: true });
  const settings = { host: '127.0.0.1', parallel_workers: 0, debug: false, use_structured_logging: false };
  await writeFile(join(target, 'settings.json'), JSON.stringify(settings));
  const implementation = 'mlserver_xgboost.XGBoostModel';
  const modelSettings = { name: 'credit-default', implementation, parameters: { uri: model } };
  await writeFile(join(target, 'model-settings.json'), JSON.stringify(modelSettings));
  return target;
}
