"""Ray Serve with one replica and its own batching.

    python ray_serve.py MODEL.onnx FEATURES PORT
"""

import json
import sys
import time

import numpy as np
import onnxruntime as ort
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=512)
class Risk:
    def __init__(self, path: str, features: list[str]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.features = features
        self.input = self.session.get_inputs()[0].name
        self.output = next(o.name for o in self.session.get_outputs() if "prob" in o.name)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def score(self, rows: list[list[float]]) -> list[list[float]]:
        [probabilities] = self.session.run([self.output], {self.input: np.array(rows, dtype=np.float32)})
        return probabilities.tolist()

    async def __call__(self, request: Request) -> list[float]:
        record = await request.json()
        return await self.score([record[feature] for feature in self.features])


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[3])})
serve.run(Risk.bind(sys.argv[1], json.loads(sys.argv[2])), route_prefix="/risk-online-prediction")
while True:
    time.sleep(3600)
