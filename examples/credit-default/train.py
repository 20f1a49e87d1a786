"""Trains the example's model on a generated CSV and exports it as ONNX.

    python train.py TRAINING.csv [MODEL.onnx]

The model takes `input`, float32 [N, 23], the features in the order of riskmodel.yaml, and gives `label`, int64 [N],
and `probabilities`, float32 [N, 2]: the probabilities of class 0 and class 1. Prints the AUC on rows that it was not
trained on, and the file's sha256 for `spec.artifact.sha256` of riskmodel.yaml. The same CSV and versions (see
requirements.txt) give the same file, byte for byte.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

NOT_FEATURES = ("customer_id", "target")


def read_applicants(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features, float32 [N, 23], and the outcomes, int64 [N], of a CSV that generate.ts wrote."""
    with path.open() as file:
        header = file.readline().strip().split(",")
    features = [i for i, name in enumerate(header) if name not in NOT_FEATURES]
    columns = [*features, header.index("target")]
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, dtype=np.float32)
    return values[:, :-1], values[:, -1].astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the example's model and export it as ONNX.")
    parser.add_argument("csv", type=Path, help="training rows written by generate.ts")
    parser.add_argument("model", type=Path, nargs="?", default=Path(__file__).parent / "model.onnx")
    arguments = parser.parse_args()

    features, outcomes = read_applicants(arguments.csv)
    x_train, x_test, y_train, y_test = train_test_split(
        features, outcomes, test_size=0.2, stratify=outcomes, random_state=0
    )
    model = GradientBoostingClassifier(n_estimators=40, max_depth=3, learning_rate=0.2, random_state=0)
    model.fit(x_train, y_train)
    auc = roc_auc_score(y_test, model.predict_proba(x_test)[:, 1])

    exported = to_onnx(
        model,
        initial_types=[("input", FloatTensorType([None, features.shape[1]]))],
        # Without this the probabilities come as a list of dictionaries instead of one tensor.
        options={"zipmap": False},
        # Newer operator sets would only shut out older runtimes: this model needs nothing of them.
        target_opset={"": 15, "ai.onnx.ml": 3},
    )
    # The exporter leaves these in the order of a Python set, which differs from run to run.
    exported.opset_import.sort(key=lambda opset: opset.domain)
    content = exported.SerializeToString()
    arguments.model.write_bytes(content)

    print(f"trained on {len(y_train):,} rows, hold-out AUC {auc:.4f} on {len(y_test):,} rows")
    print(f"{arguments.model.name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
