"""The way of the service that this project replaces: a DataFrame a request, and XGBoost's scikit-learn interface.

    python original.py MODEL.json FEATURES PORT

FEATURES is a JSON array of the features' names, in order.
"""

import json
import sys

import pandas as pd
import uvicorn
import xgboost as xgb
from fastapi import FastAPI, Request

model = xgb.XGBClassifier(n_jobs=1)
model.load_model(sys.argv[1])
features = json.loads(sys.argv[2])
app = FastAPI()


@app.post("/risk-online-prediction")
async def predict(request: Request) -> list[float]:
    frame = pd.DataFrame([await request.json()])[features]
    return model.predict_proba(frame)[0].tolist()


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning", access_log=False)
