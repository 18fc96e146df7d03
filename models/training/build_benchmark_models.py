"""Builds the models that are not trained: mlp (benchmarks), identity and simple (tests), and the vectors of simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

import common
from common import TensorProto

BATCHES = [1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 8, 13, 16, 17, 32, 64]


def build_mlp(models: Path) -> None:
    """64-256-256-1 perceptron with ReLU; weights drawn by He's rule from a fixed seed, biases small and not zero."""
    rng = np.random.default_rng(64_256_256_1)
    sizes = [64, 256, 256, 1]
    nodes, weights, name = [], [], "x"
    for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
        last = layer == len(sizes) - 1
        w = rng.normal(0, np.sqrt((1 if last else 2) / fan_in), (fan_in, fan_out)).astype(np.float32)
        b = rng.normal(0, 0.1, fan_out).astype(np.float32)
        weights += [common.constant(f"w{layer}", w), common.constant(f"b{layer}", b)]
        out = "y" if last else f"z{layer}"
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [out]))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"h{layer}"]))
        name = f"h{layer}"
    model = common.graph(
        "mlp", nodes, [("x", TensorProto.FLOAT, ["batch", 64])], [("y", TensorProto.FLOAT, ["batch", 1])], weights
    )
    session = common.open_session(common.save(model, models, "mlp"))
    cases = []
    for rows in BATCHES:
        inputs = {"x": rng.normal(0, 1, (rows, 64)).round(4).astype(np.float32)}
        cases.append((inputs, common.run(session, inputs)))
    common.write_expected(models, "mlp", cases)
    for rows in (1, 64):
        inputs = {"x": rng.normal(0, 1, (rows, 64)).astype(np.float32)}
        rate = common.rows_per_second(lambda inputs=inputs: session.run(["y"], inputs), rows)
        print(f"mlp: batch {rows}: {rate:,.0f} rows/s, plain ONNX Runtime, one thread")


def build_identity(models: Path) -> None:
    """Returns what came in: FP32 of any width and one string a row, so that every byte of a door is checked."""
    nodes = [helper.make_node("Identity", [f"input_{kind}"], [f"output_{kind}"]) for kind in ("fp32", "bytes")]
    fp32, text = (TensorProto.FLOAT, ["batch", "width"]), (TensorProto.STRING, ["batch", 1])
    model = common.graph(
        "identity",
        nodes,
        [("input_fp32", *fp32), ("input_bytes", *text)],
        [("output_fp32", *fp32), ("output_bytes", *text)],
    )
    session = common.open_session(common.save(model, models, "identity"))
    rng = np.random.default_rng(32)
    odd = ["", " ", "plain", "Zürich €5", "日本語", "🙂👍🏽", 'quote " and \\', "line\nbreak\ttab", "{}", "null", "a" * 300, "e\u0301 é"]
    extremes = np.array([0, -0.0, 1, -1, 3.4028235e38, -3.4028235e38, 1.1754944e-38, 1e-45, 0.1, 16777217], np.float32)
    cases = []
    for index, rows in enumerate([1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 12, 16, 24, 32]):
        width = [1, 2, 10, 3][index % 4]
        values = rng.normal(0, 10.0 ** rng.integers(-6, 7), (rows, width)).astype(np.float32)
        if width == len(extremes):
            values[0] = extremes
        words = np.array([[odd[(index + row) % len(odd)]] for row in range(rows)], object)
        inputs = {"input_fp32": values, "input_bytes": words}
        cases.append((inputs, common.run(session, inputs)))
    common.write_expected(models, "identity", cases)


def build_simple(models: Path) -> None:
    """Sum and difference of two INT32 rows, with the names, types and shapes of Triton's example of the same name."""
    row = (TensorProto.INT32, ["batch", 16])
    model = common.graph(
        "simple",
        [helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]), helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])],
        [("INPUT0", *row), ("INPUT1", *row)],
        [("OUTPUT0", *row), ("OUTPUT1", *row)],
    )
    session = common.open_session(common.save(model, models, "simple"))
    rng = np.random.default_rng(16)
    counting = {"INPUT0": np.arange(16, dtype=np.int32)[None], "INPUT1": np.ones((1, 16), np.int32)}  # Triton's clients
    top = np.full((1, 16), 2**31 - 1, np.int32)
    wraps = {"INPUT0": top, "INPUT1": np.ones((1, 16), np.int32)}  # INT32 wraps round: 2147483647 + 1 = -2147483648
    drawn = [
        {key: rng.integers(-1000, 1000, (rows, 16), dtype=np.int32) for key in ("INPUT0", "INPUT1")}
        for rows in [1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 8, 8]
    ]
    common.write_expected(models, "simple", [(inputs, common.run(session, inputs)) for inputs in [counting, wraps, *drawn]])


def build_simulated(models: Path) -> None:
    """The simulated backend has no graph: it waits and returns its input, so the vectors need no runtime."""
    rng = np.random.default_rng(40)
    values = [rng.normal(0, 1, (rows, 1)).round(4).astype(np.float32) for rows in (1, 1, 2, 32)]
    common.write_expected(models, "simulated", [({"x": x}, {"y": x}) for x in values])


def main() -> None:
    models = common.arguments(__doc__, data=False).models
    for build in (build_mlp, build_identity, build_simple, build_simulated):
        build(models)


if __name__ == "__main__":
    main()
