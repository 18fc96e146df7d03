"""Trains credit-risk: the probability that a credit-card client defaults next month, by gradient boosting.

Writes models/credit-risk (ONNX file, test vectors, a sample of 200 held-out clients) and the two feature views."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import common
from common import TensorProto
from tree_ensemble import tree_ensemble

NAME = "credit-risk"
FILE = "tabular/credit-default/credit_1-24000.csv"

# SEX, MARRIAGE and AGE are in the data and not here: they are protected attributes.
PROFILE = ["LIMIT_BAL", "EDUCATION"]
MONTHLY = (
    ["PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]  # the publisher has no PAY_1
    + [f"BILL_AMT{month}" for month in range(1, 7)]
    + [f"PAY_AMT{month}" for month in range(1, 7)]
)
SAMPLE_ROWS = 200  # spread evenly over the held-out split

VIEWS = {
    "credit_profile": (PROFILE, "{ kind: sqlite, table: credit_profile, key: client_id }", "Static facts about a client."),
    "credit_monthly": (MONTHLY, "{ kind: redis }", "Repayment status (PAY_*), bills and payments of the last six months."),
}


def new_model() -> HistGradientBoostingClassifier:
    """Chosen by five-fold cross-validation on the training split: small trees, many rows a leaf."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=8,
        min_samples_leaf=200,
        l2_regularization=10,
        early_stopping=False,
        random_state=0,
    )


def to_onnx(model: HistGradientBoostingClassifier):
    """Graph: profile and monthly side by side, trees, logistic function."""
    return common.graph(
        "credit_risk",
        [
            helper.make_node("Concat", ["profile", "monthly"], ["features"], axis=1),
            tree_ensemble(model, "features", "log_odds"),
            helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
        ],
        [
            ("profile", TensorProto.FLOAT, ["batch", len(PROFILE)]),
            ("monthly", TensorProto.FLOAT, ["batch", len(MONTHLY)]),
        ],
        [("probability", TensorProto.FLOAT, ["batch", 1])],
    )


def feeds(features: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of [rows, features] as the inputs of the graph."""
    single = np.ascontiguousarray(features, np.float32)
    return {"profile": single[:, : len(PROFILE)].copy(), "monthly": single[:, len(PROFILE) :].copy()}


def write_views(folder: Path, defaults: dict[str, int]) -> None:
    """Feature views; a default is the median of the training split and stands in for an unknown client."""
    folder.mkdir(parents=True, exist_ok=True)
    for view, (fields, source, about) in VIEWS.items():
        lines = [
            f"# {about}",
            "# Written by models/training/train_credit_risk.py: the order of the fields is the order of the columns the",
            "# model was trained on; a default is the median of the training split.",
            f"view: {view}",
            "entity: client_id",
            f"source: {source}",
            "freshness_seconds: 0 # 0 = values never go stale",
            "timeout_ms: 250",
            "fields:",
            *(f"  - {{ name: {field}, type: float, default: {defaults[field]} }}" for field in fields),
        ]
        (folder / f"{view}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_sample(path: Path, ids: list[str], features: np.ndarray) -> None:
    """The features of a few clients as CSV, for demos and tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ID", *PROFILE, *MONTHLY])
        writer.writerows([client, *map(int, row)] for client, row in zip(ids, features, strict=True))


def expected_cases(session, ids: list[str], sample: np.ndarray, medians: np.ndarray) -> list[common.Case]:
    """Batches of known clients, then an unknown one alone and one among known ones: they get the views' defaults."""
    order = np.random.default_rng(7).permutation(len(ids))
    cases: list[common.Case] = []
    start = 0
    for rows in [1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 8, 16, 32, 0, 2]:
        picked = order[start : start + rows]
        start += rows
        names = [ids[i] for i in picked]
        values = sample[picked]
        if len(cases) >= 14:
            names, values = [*names, "unknown-client"], np.vstack([values, medians])
        inputs = {"client_id": np.array(names, object)[:, None]}
        cases.append((inputs, common.run(session, feeds(values))))
    return cases


def main() -> None:
    args = common.arguments(__doc__, data=True, views=True)
    rows = common.read_csv(args.data / FILE)
    features = np.array([[float(row[name]) for name in PROFILE + MONTHLY] for row in rows])
    label = np.array([int(row["class"]) for row in rows])
    test = common.held_out([tuple(row) for row in features])
    train = ~test
    print(f"{NAME}: {train.sum()} rows to train, {test.sum()} held out")

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    guess = cross_val_predict(new_model(), features[train], label[train], cv=folds, method="predict_proba")[:, 1]
    print(f"{NAME}: cross-validated AUC {roc_auc_score(label[train], guess):.4f} (n = {train.sum()})")

    model = new_model().fit(features[train], label[train])
    session = common.open_session(common.save(to_onnx(model), args.models, NAME))
    probability = session.run(["probability"], feeds(features))[0][:, 0]
    drift = np.abs(probability - model.predict_proba(features)[:, 1]).max()
    print(f"{NAME}: ONNX differs from scikit-learn by at most {drift:.1e}")
    for split, mask in (("train", train), ("held out", test)):
        y, p = label[mask], probability[mask]
        print(
            f"{NAME}: {split}: AUC {roc_auc_score(y, p):.4f}, log loss {log_loss(y, p):.4f}, "
            f"Brier {brier_score_loss(y, p):.4f}, defaults {y.mean():.3f}, mean prediction {p.mean():.3f}, n = {len(y)}"
        )

    medians = np.median(features[train], axis=0)
    defaults = {name: int(value) for name, value in zip(PROFILE + MONTHLY, medians, strict=True)}
    medians = np.array([defaults[name] for name in PROFILE + MONTHLY], float)
    write_views(args.views, defaults)
    picked = np.flatnonzero(test)[:: test.sum() // SAMPLE_ROWS][:SAMPLE_ROWS]
    ids = [rows[i]["ID"] for i in picked]
    write_sample(args.models / NAME / "sample" / "clients.csv", ids, features[picked])
    common.write_expected(args.models, NAME, expected_cases(session, ids, features[picked], medians))
    for batch in (1, 64):
        inputs = feeds(features[:batch])
        rate = common.rows_per_second(lambda inputs=inputs: session.run(["probability"], inputs), batch)
        print(f"{NAME}: batch {batch}: {rate:,.0f} rows/s, plain ONNX Runtime, one thread")


if __name__ == "__main__":
    main()
