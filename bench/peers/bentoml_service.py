"""BentoML with one worker and without its access log. Its batching is for calls that take lists; this one takes a record.

    BENCH_MODEL=MODEL.onnx BENCH_FEATURES=FEATURES bentoml serve bentoml_service:Risk --port PORT
"""

import json
import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Risk:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
        self.features = json.loads(os.environ["BENCH_FEATURES"])
        self.input = self.session.get_inputs()[0].name
        self.output = next(o.name for o in self.session.get_outputs() if "prob" in o.name)

    @bentoml.api(route="/risk-online-prediction")
    def predict(self, record: dict, /) -> list[float]:
        row = np.array([[record[feature] for feature in self.features]], dtype=np.float32)
        [probabilities] = self.session.run([self.output], {self.input: row})
        return probabilities[0].tolist()
