"""What every training script shares: reading data, splitting, saving ONNX, test vectors, and timing."""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, checker, helper

MODELS = Path(__file__).resolve().parent.parent

# Old enough for every runtime that people still have, new enough for all operators used here.
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
IR_VERSION = 8

# NumPy kind -> Open Inference Protocol datatype.
DATATYPES = {"float32": "FP32", "int32": "INT32", "int64": "INT64", "object": "BYTES"}


VIEWS = MODELS.parent / "services" / "feature-service" / "views"


def arguments(
    description: str | None,
    data: bool = False,
    views: bool = False,
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> argparse.Namespace:
    """Command line of a script; `data` adds the required --data DIR, `views` the folder of feature views, `more` the rest."""
    parser = argparse.ArgumentParser(description=description)
    if data:
        parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the data sets")
    parser.add_argument(
        "--models", type=Path, default=MODELS, metavar="DIR", help="model repository to write (default: this one)"
    )
    if views:
        parser.add_argument(
            "--views", type=Path, default=VIEWS, metavar="DIR", help="folder of feature views to write (default: the service's)"
        )
    if more is not None:
        more(parser)
    return parser.parse_args()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header; quoted fields may contain line breaks."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_out(keys: Sequence[Hashable]) -> np.ndarray:
    """True for each row of the held-out split: row index % 10 == 0. A row whose key was seen before follows the
    first row with that key, so that equal rows never stand on both sides."""
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(key, index) % 10 == 0 for index, key in enumerate(keys)])


def graph(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, list]],
    outputs: Sequence[tuple[str, int, list]],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A checked ONNX model; inputs and outputs are (name, TensorProto type, shape with 'batch' first)."""
    model = helper.make_model(
        helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info(*value) for value in inputs],
            [helper.make_tensor_value_info(*value) for value in outputs],
            list(initializers),
        ),
        opset_imports=OPSETS,
        producer_name="spillway",
        ir_version=IR_VERSION,
    )
    checker.check_model(model, full_check=True)
    return model


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    """An initializer that holds `values`."""
    return onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)


def save(model: onnx.ModelProto, models: Path, name: str, variant: str = "") -> Path:
    """Writes models/<name>/1/model.onnx, or that of a variant in a folder beside it; returns its path."""
    path = models / name / "1" / variant / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Plain ONNX Runtime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs once; outputs by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def tensor(values: np.ndarray) -> dict:
    """A tensor as JSON. FP32 is written with the shortest digits that read back as the same FP32."""
    kind = "object" if values.dtype.kind in "OUS" else values.dtype.name
    flat = values.reshape(-1)
    data = [float(str(v)) for v in flat] if kind == "float32" else [v if kind == "object" else int(v) for v in flat]
    return {"datatype": DATATYPES[kind], "shape": list(values.shape), "data": data}


Case = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def write_expected(models: Path, name: str, cases: Sequence[Case], labels: dict[str, list[str]] | None = None) -> None:
    """Writes models/<name>/expected.json: request inputs and the outputs that plain ONNX Runtime gave; `labels` are what
    each lighter variant answers to the first of them."""
    rows = [
        {side: {key: tensor(value) for key, value in tensors.items()} for side, tensors in zip(("inputs", "outputs"), case)}
        for case in cases
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path = models / name / "expected.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    more = "" if labels is None else ',\n"labels":' + json.dumps(labels, separators=(",", ":"))
    path.write_text(f'{{"cases":[\n{lines}\n]{more}}}\n', encoding="utf-8")


def rows_per_second(call: Callable[[], object], rows: int, seconds: float = 1.0) -> float:
    """Rows per second of `call`, which does `rows` rows: the median of five windows, after a warm-up."""
    call()
    rates = []
    for _ in range(5):
        start, calls = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds / 5:
            call()
            calls += 1
        rates.append(rows * calls / elapsed)
    return float(np.median(rates))


