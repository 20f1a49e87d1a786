"""Trains the XGBoost model that all contenders serve.

    python train.py TRAINING.csv MODEL.json TREES DEPTH

The CSV is one that the example's generate.ts wrote, with the column `target`. The model takes the features in the order
of the CSV, as riskmodel.yaml lists them.
"""

import sys

import pandas as pd
import xgboost as xgb

csv, model, trees, depth = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
frame = pd.read_csv(csv).drop(columns=["customer_id"], errors="ignore")
outcomes = frame.pop("target")
classifier = xgb.XGBClassifier(n_estimators=trees, max_depth=depth, learning_rate=0.2, random_state=0)
classifier.fit(frame, outcomes)
classifier.save_model(model)
