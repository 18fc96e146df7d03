"""Writes a fitted scikit-learn gradient boosting classifier as an ONNX TreeEnsembleRegressor (ai.onnx.ml)."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier


def tree_ensemble(model: HistGradientBoostingClassifier, source: str, target: str) -> onnx.NodeProto:
    """The node that maps FP32 [batch, features] to the log-odds of class 1, FP32 [batch, 1].

    Binary classifiers only, without missing values and categorical splits. Thresholds are rounded to the next lower
    FP32, which changes no decision (x <= threshold) for inputs that are FP32 themselves. A copy is written here
    because it needs two private attributes of scikit-learn and saves a converter among the requirements.
    """
    nodes: dict[str, list] = {key: [] for key in ("ids", "tree", "mode", "feature", "value", "true", "false")}
    leaves: dict[str, list] = {key: [] for key in ("tree", "node", "weight")}
    for tree, (predictor,) in enumerate(model._predictors):
        for index, node in enumerate(predictor.nodes):
            leaf = bool(node["is_leaf"])
            nodes["tree"].append(tree)
            nodes["ids"].append(index)
            nodes["mode"].append("LEAF" if leaf else "BRANCH_LEQ")
            nodes["feature"].append(0 if leaf else int(node["feature_idx"]))
            nodes["value"].append(0.0 if leaf else _round_down(node["num_threshold"]))
            nodes["true"].append(0 if leaf else int(node["left"]))
            nodes["false"].append(0 if leaf else int(node["right"]))
            if leaf:
                leaves["tree"].append(tree)
                leaves["node"].append(index)
                leaves["weight"].append(float(node["value"]))
    return helper.make_node(
        "TreeEnsembleRegressor",
        [source],
        [target],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=[float(np.ravel(model._baseline_prediction)[0])],
        nodes_treeids=nodes["tree"],
        nodes_nodeids=nodes["ids"],
        nodes_modes=nodes["mode"],
        nodes_featureids=nodes["feature"],
        nodes_values=nodes["value"],
        nodes_truenodeids=nodes["true"],
        nodes_falsenodeids=nodes["false"],
        target_treeids=leaves["tree"],
        target_nodeids=leaves["node"],
        target_ids=[0] * len(leaves["node"]),
        target_weights=leaves["weight"],
    )


def _round_down(value: float) -> float:
    """The largest FP32 that is not above `value`."""
    single = np.float32(value)
    return float(single if float(single) <= value else np.nextafter(single, np.float32(-np.inf)))
