"""KServe's Python server with a custom predictor on onnxruntime, as its documentation shows for models of one's own.

    python kserve_server.py MODEL.onnx FEATURES PORT
"""

import sys
from typing import Union

import numpy as np
import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class RiskModel(Model):
    def __init__(self, path: str) -> None:
        super().__init__("credit-default")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = next(o.name for o in self.session.get_outputs() if "prob" in o.name)
        self.ready = True

    async def predict(self, payload: Union[dict, InferRequest], headers=None, response_headers=None):
        if isinstance(payload, InferRequest):
            matrix = payload.inputs[0].as_numpy().astype(np.float32)
        else:
            matrix = np.array(payload["instances"], dtype=np.float32)
        [probabilities] = self.session.run([self.output], {self.input: matrix})
        if not isinstance(payload, InferRequest):
            return {"predictions": probabilities.tolist()}
        output = InferOutput(name="probabilities", shape=list(probabilities.shape), datatype="FP32")
        output.set_data_from_numpy(probabilities, binary_data=False)
        return InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=[output])


model = RiskModel(sys.argv[1])
ModelServer(http_port=int(sys.argv[3]), enable_grpc=False, workers=1, access_log_format=None).start([model])
