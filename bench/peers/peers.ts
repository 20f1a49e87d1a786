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

/** The servers of the Python world, installed if need be. */
export async function peers(bench: Workbench): Promise<Contender[]> {
  const { artifact, xgboostModel, dataDir } = bench;
  const features = JSON.stringify(bench.features);
  const record = { record: '/risk-online-prediction' };
  const fastapi = await peerPython('fastapi');
  const kserve = await peerPython('kserve');
  const mlserver = await peerPython('mlserver');
  const bentoml = await peerPython('bentoml');
  const ray = await peerPython('ray');
  const mlserverFolder = await writeMlserverFolder(dataDir, xgboostModel);
  const script = (command: string, file: string, model: string): Contender['start'] => {
    return (port) => ({ command, args: [join(folder, file), model, features, String(port)], env: oneThread });
  };
  const servers: Omit<Contender, 'isExact'>[] = [
    {
      name: 'FastAPI + pandas + XGBoost (the original service)',
      start: script(fastapi, 'original.py', xgboostModel),
      calls: record,
    },
    { name: 'FastAPI + onnxruntime, tuned', start: script(fastapi, 'fastapi_onnx.py', artifact), calls: record },
    {
      name: 'BentoML',
      start: (port) => ({
        command: join(bentoml, '..', 'bentoml'),
        args: ['serve', 'bentoml_service:Risk', '--host=127.0.0.1', `--port=${port}`, `--working-dir=${folder}`],
        env: { ...oneThread, BENCH_MODEL: artifact, BENCH_FEATURES: features, BENTOML_DO_NOT_TRACK: 'True' },
      }),
      calls: record,
    },
    { name: 'Ray Serve', start: script(ray, 'ray_serve.py', artifact), calls: record },
    {
      name: "KServe's Python server",
      start: script(kserve, 'kserve_server.py', artifact),
      calls: { oip: '/v2/models/credit-default/infer', oip100: '/v2/models/credit-default/infer' },
    },
    {
      name: 'MLServer (XGBoost)',
      start: (port) => ({
        command: join(mlserver, '..', 'mlserver'),
        args: ['start', mlserverFolder],
        env: { ...oneThread, MLSERVER_HTTP_PORT: String(port), MLSERVER_GRPC_PORT: '0' },
      }),
      calls: { oip: '/v2/models/credit-default/infer', oip100: '/v2/models/credit-default/infer' },
      output: 'predict_proba',
    },
  ];
  return servers.map((server) => ({ ...server, isExact: false }));
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
