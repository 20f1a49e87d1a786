"""A batch by somebody who knows how to make it fast: polars reads and writes columns, onnxruntime scores them.

    python polars_onnx.py MODEL.onnx FEATURES INPUT OUTPUT.parquet THREADS

Prints how long it took once everything was imported and loaded, and the most memory that it had.
"""

import json
import resource
import sys
import time

import numpy as np
import onnxruntime as ort
import polars as pl

path, features, source, target, threads = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
options = ort.SessionOptions()
options.intra_op_num_threads = threads
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
output = next(o.name for o in session.get_outputs() if "prob" in o.name)
started = time.perf_counter()
readers = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson}
frame = readers[source.rsplit(".", 1)[1]](source)
matrix = np.ascontiguousarray(frame.select(pl.col(features).cast(pl.Float32)).to_numpy())
[probabilities] = session.run([output], {name: matrix})
frame.with_columns(
    pl.Series("prob_0", probabilities[:, 0].astype(np.float64)),
    pl.Series("prob_1", probabilities[:, 1].astype(np.float64)),
    pl.Series("decision", (probabilities[:, 1] > 0.5).astype(np.int64)),
).write_parquet(target)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - started, "peakBytes": peak}))
