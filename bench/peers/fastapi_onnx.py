"""FastAPI by somebody who knows how to make it fast: no models of pydantic, orjson, onnxruntime with one thread.

    python fastapi_onnx.py MODEL.onnx FEATURES PORT
"""

import json
import sys

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
features = json.loads(sys.argv[2])
name = session.get_inputs()[0].name
output = next(o.name for o in session.get_outputs() if "prob" in o.name)
app = FastAPI()


@app.post("/risk-online-prediction")
async def predict(request: Request) -> Response:
    record = orjson.loads(await request.body())
    row = np.array([[record[feature] for feature in features]], dtype=np.float32)
    [probabilities] = session.run([output], {name: row})
    return Response(orjson.dumps(probabilities[0].tolist()), media_type="application/json")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning", access_log=False, loop="uvloop", http="httptools")
