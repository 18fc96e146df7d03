"""The models that every peer serves: the session, and the Open Inference Protocol's lists <-> one array of rows.

A peer imports this file by path (PYTHONPATH) and adds only what its framework is about. Needs numpy and onnxruntime.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

REPO = Path(__file__).resolve().parents[3]
MODELS = REPO / "models"

# Set by start-peer.ts; a request may take this long before its answer is worth nothing.
MODEL = os.environ.get("PEER_MODEL", "mlp")
PORT = int(os.environ.get("PEER_PORT", "8000"))
CORES = int(os.environ.get("PEER_CORES", "2"))
DEADLINE_MS = int(os.environ.get("PEER_DEADLINE_MS", "5000"))
PATH = f"/v2/models/{MODEL}/infer"


def open_session(name: str) -> onnxruntime.InferenceSession:
    """The options of Spillway's executors (services/gpu-worker/src/adapters/executor-main.ts): the same work a run."""
    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        str(MODELS / name / "1" / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


class Mlp:
    """x FP32 [rows, 64] -> y FP32 [rows, 1]."""

    max_batch_rows = 64  # models/mlp/model.yaml
    data_type = float

    def __init__(self) -> None:
        self._session = open_session("mlp")

    def rows(self, data: Sequence[float]) -> np.ndarray:
        """One request's rows, of the flat list that the protocol's JSON carries."""
        return np.asarray(data, np.float32).reshape(-1, 64)

    def run(self, rows: np.ndarray) -> np.ndarray:
        return self._session.run(["y"], {"x": rows})[0]

    def outputs(self, rows: np.ndarray) -> list[dict[str, Any]]:
        """One request's outputs, of its rows of the batch's result."""
        return [{"name": "y", "datatype": "FP32", "shape": rows.shape, "data": rows.ravel().tolist()}]


class Intent:
    """text BYTES [rows, 1] -> label BYTES [rows, 1], scores FP32 [rows, 77]."""

    max_batch_rows = 32  # models/intent/model.yaml
    data_type = str

    def __init__(self) -> None:
        from text_ids import text_ids

        self._ids = text_ids
        self._session = open_session("intent")
        self._labels = json.loads((MODELS / "intent" / "labels.json").read_text())

    def rows(self, data: Sequence[str]) -> np.ndarray:
        return self._ids(data)

    def run(self, rows: np.ndarray) -> np.ndarray:
        return self._session.run(["scores"], {"ids": rows})[0]

    def outputs(self, rows: np.ndarray) -> list[dict[str, Any]]:
        labels = [self._labels[best] for best in rows.argmax(axis=1)]
        return [
            {"name": "label", "datatype": "BYTES", "shape": (len(labels), 1), "data": labels},
            {"name": "scores", "datatype": "FP32", "shape": rows.shape, "data": rows.ravel().tolist()},
        ]


MODEL_TYPES = {"mlp": Mlp, "intent": Intent}
MODEL_TYPE = MODEL_TYPES[MODEL]


def answer(model: Mlp | Intent, rows: np.ndarray) -> dict[str, Any]:
    """The body of the protocol's answer."""
    return {"model_name": MODEL, "model_version": "1", "outputs": model.outputs(rows)}


def run_batch(model: Mlp | Intent, requests: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Runs the flat lists of several requests together and splits the result into their answers."""
    parts = [model.rows(data) for data in requests]
    rows = model.run(parts[0] if len(parts) == 1 else np.concatenate(parts))
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [answer(model, part) for part in np.split(rows, ends)]
