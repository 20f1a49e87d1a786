"""A batch as the service did it that this project replaces: pandas and XGBoost's scikit-learn interface.

    python pandas_xgboost.py MODEL.json FEATURES INPUT OUTPUT.parquet THREADS

Prints how long it took once everything was imported and loaded, and the most memory that it had.
"""

import json
import resource
import sys
import time

import pandas as pd
import xgboost as xgb

path, features, source, target, threads = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
model = xgb.XGBClassifier(n_jobs=threads)
model.load_model(path)
started = time.perf_counter()
readers = {"parquet": pd.read_parquet, "csv": pd.read_csv, "ndjson": lambda file: pd.read_json(file, lines=True)}
frame = readers[source.rsplit(".", 1)[1]](source)
probabilities = model.predict_proba(frame[features])
frame["prob_0"], frame["prob_1"] = probabilities[:, 0].astype("float64"), probabilities[:, 1].astype("float64")
frame["decision"] = (probabilities[:, 1] > 0.5).astype("int64")
frame.to_parquet(target)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - started, "peakBytes": peak}))
