"""The ONNX graphs of intent: the linear form, the networks, and the networks with integer arithmetic.

Rows of every table are ids. Row 0 (padding) and ids never seen are zero, because their weights are. Tables are stored in
int8 with one scale a column; where the arithmetic is FP32, ONNX Runtime folds Cast and Mul into an FP32 table when it loads
the model, so they cost nothing at run time."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

import common
from common import TensorProto
from intent_networks import CHANNELS, OFFSETS, WIDTH, WINDOWS, Network, Windows, channels_of

NAME = "intent"
LONGEST = max(WINDOWS)
HALF = 128  # what 0 is in an unsigned byte
# Weights of 7 bits: x86 without VNNI adds two products of bytes in 16 bits, which 8 bits would overflow.
WEIGHT_STEPS = 63


class Graph:
    """Nodes and constants under construction; every step returns the name of what it makes."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.values: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.values[name] = value
        return name

    def axes(self, *axes: int) -> str:
        return self.constant("axes_" + "_".join(map(str, axes)), np.array(axes, np.int64))

    def add(self, op: str, output: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def build(self, ids: list, classes: int) -> onnx.ModelProto:
        constants = [common.constant(name, value) for name, value in self.values.items()]
        inputs = [("ids", TensorProto.INT32, ["batch", *ids])]
        return common.graph(NAME, self.nodes, inputs, [("scores", TensorProto.FLOAT, ["batch", classes])], constants)

    def table(self, table: np.ndarray) -> str:
        """FP32 at run time, int8 in the file."""
        quantized, scale = in_bytes(table)
        self.constant("table_int8", quantized)
        self.constant("table_scale", scale)
        self.add("Cast", "table_cast", "table_int8", to=TensorProto.FLOAT)
        return self.add("Mul", "table", "table_cast", "table_scale")

    def idf_norm(self, idf: np.ndarray, *axes: int) -> str:
        """[batch, 1]: root of the sum of the squared weights of a text's ids, at least 1."""
        squares = self.constant("idf_squared", (idf * idf).astype(np.float32))
        name = self.add("Gather", "squares", squares, "ids", axis=0)
        for axis in axes:
            name = self.add("ReduceSum", f"square_sum_{axis}", name, self.axes(axis), keepdims=int(axis == 1))
        self.add("Max", "square_norm", name, self.constant("one", np.array(1, np.float32)))
        return self.add("Sqrt", "norm", "square_norm")

    def head(self, name: str, hidden: str, out: np.ndarray, bias: np.ndarray) -> str:
        """Softmax of a linear map."""
        weights = self.constant(f"{name}_out", out), self.constant(f"{name}_out_bias", bias)
        logits = self.add("Gemm", f"{name}_logits", hidden, *weights)
        return self.add("Softmax", f"{name}_scores", logits, axis=1)


def in_bytes(table: np.ndarray, steps: int = 127) -> tuple[np.ndarray, np.ndarray]:
    """Int8 values and the scale of each column."""
    scale = np.abs(table).max(axis=0) / steps
    return np.round(table / scale).astype(np.int8), scale.astype(np.float32)


def linear_graph(coefficients: np.ndarray, bias: np.ndarray, idf: np.ndarray) -> onnx.ModelProto:
    """ids [batch, ids] -> softmax of the weighed sum of their rows. @param coefficients [buckets + 1, classes]"""
    graph = Graph()
    graph.add("Gather", "embedded", graph.table(coefficients * idf[:, None]), "ids", axis=0)
    graph.add("ReduceSum", "bag", "embedded", graph.axes(1), keepdims=0)
    graph.add("Div", "mean", "bag", graph.idf_norm(idf, 1))
    graph.add("Add", "logits", "mean", graph.constant("bias", bias.astype(np.float32)))
    graph.add("Softmax", "scores", "logits", axis=1)
    return graph.build(["ids"], len(bias))


def network_graph(network: Network, max_ids: int, vector_step: float | None = None) -> onnx.ModelProto:
    """
    ids [batch, words, max_ids] -> mean of the networks' softmaxes. One table for all of them, so one Gather; padding is dropped
    first, so the work is that of the words, whatever the longest text of the batch.

    @param vector_step With it the sums of n-grams and the windows are integer arithmetic; it is what one step of a word's
    vector is as a byte. Fixed, not taken from the batch: an answer must not depend on what else is in it.
    """
    graph = Graph()
    drop_padding(graph, max_ids)
    parts = [*(one.embedding for one in network.windows), network.bag.embedding * network.idf[:, None]]
    table = np.concatenate(parts, axis=1).astype(np.float32)
    words = sum_words(graph, table) if vector_step is None else sum_words_in_integers(graph, table)
    sizes = graph.constant("sizes", np.array([part.shape[1] for part in parts], np.int64))
    names = [f"sum_{i}" for i in range(len(parts))]
    graph.nodes.append(helper.make_node("Split", [words, sizes], names, axis=1))

    known = graph.constant("known", (network.idf > 0).astype(np.float32))
    graph.add("Gather", "known_ids", known, "rows", axis=0)
    graph.add("ReduceSum", "known_sum", "known_ids", graph.axes(1), keepdims=1)
    norm = graph.idf_norm(network.idf, 2, 1)
    graph.add("Max", "known_norm", "known_sum", "one")
    graph.add("Sqrt", "word_norm", "known_norm")

    scores = [windows(graph, f"windows_{i}", names[i], one, vector_step) for i, one in enumerate(network.windows)]
    scores.append(bag(graph, names[-1], norm, network))
    graph.add("Mean", "scores", *scores)
    return graph.build(["words", max_ids], network.bag.out.shape[1])


def drop_padding(graph: Graph, max_ids: int) -> None:
    """Makes `rows` [words of all texts, max_ids], `place` of each in [batch * words], and `column`, its place in its text."""
    graph.add("Reshape", "all_rows", "ids", graph.constant("rows_shape", np.array([-1, max_ids], np.int64)))
    bounds = graph.constant("bound_0", np.array([0], np.int64)), graph.constant("bound_1", np.array([1], np.int64))
    graph.add("Slice", "first_ids", "all_rows", *bounds, graph.axes(1))  # every word has one, padding has none
    graph.add("Squeeze", "first_id", "first_ids", graph.axes(1))
    graph.add("Cast", "is_word", "first_id", to=TensorProto.BOOL)
    graph.add("Compress", "rows", "all_rows", "is_word", axis=0)
    graph.add("NonZero", "places", "is_word")
    graph.add("Transpose", "place", "places", perm=[1, 0])
    graph.add("Shape", "width", "ids", start=1, end=2)
    graph.add("Mod", "column", "place", "width")
    graph.add("Shape", "layout", "ids", start=0, end=2)


def put_back(graph: Graph, name: str, rows: str, columns: int) -> str:
    """Rows of words as [batch, words, columns], 0 where padding is."""
    width = graph.constant(f"columns_{columns}", np.array([columns], np.int64))
    shape = graph.add("Concat", f"{name}_shape", "layout", width, axis=0)
    blank = graph.add("ConstantOfShape", f"{name}_blank", shape, value=common.constant("", np.zeros(1, np.float32)))
    flat = graph.add("Reshape", f"{name}_flat", blank, graph.constant(f"flat_{columns}", np.array([-1, columns], np.int64)))
    placed = graph.add("ScatterND", f"{name}_placed", flat, "place", rows)
    return graph.add("Reshape", f"{name}_back", placed, shape)


def sum_words(graph: Graph, table: np.ndarray) -> str:
    graph.add("Gather", "embedded", graph.table(table), "rows", axis=0)
    return graph.add("ReduceSum", "words", "embedded", graph.axes(1), keepdims=0)


def sum_words_in_integers(graph: Graph, table: np.ndarray) -> str:
    """Sums bytes by a product with ones: a quarter of the memory to read."""
    quantized, scale = in_bytes(table)
    graph.add("Gather", "embedded", graph.constant("table_int8", quantized), "rows", axis=0)
    graph.add("Cast", "is_id", "rows", to=TensorProto.BOOL)
    graph.add("Cast", "ones", "is_id", to=TensorProto.UINT8)
    graph.add("Unsqueeze", "ones_row", "ones", graph.axes(1))
    graph.add("MatMulInteger", "words_row", "ones_row", "embedded")
    graph.add("Squeeze", "words_int", "words_row", graph.axes(1))
    graph.add("Cast", "words_float", "words_int", to=TensorProto.FLOAT)
    return graph.add("Mul", "words", "words_float", graph.constant("table_scale", scale))


def kernel_of(one: Windows) -> np.ndarray:
    """[LONGEST * WIDTH, channels]: the kernels of all windows as one matrix, zero where a window does not reach."""
    kernel = np.zeros((LONGEST * WIDTH, len(WINDOWS) * CHANNELS), np.float32)
    for block, (window, back) in enumerate(OFFSETS):
        row = (LONGEST - 1 - back) * WIDTH
        kernel[row : row + WIDTH, channels_of(window)] = one.kernel[:, block * CHANNELS : (block + 1) * CHANNELS]
    return kernel


def windows(graph: Graph, name: str, words: str, one: Windows, vector_step: float | None) -> str:
    vectors = graph.add("Div", f"{name}_vectors", words, "word_norm")
    kernel = kernel_of(one)
    if vector_step is None:
        zero = graph.constant("zero", np.array(0, np.float32))
        z = graph.add("MatMul", f"{name}_z", side_by_side(graph, name, vectors, zero), graph.constant(f"{name}_kernel", kernel))
    else:
        quantized, scale = in_bytes(kernel, WEIGHT_STEPS)
        step = graph.constant("vector_step", np.array(vector_step, np.float32))
        zero = graph.constant("half", np.array(HALF, np.uint8))
        in_steps = graph.add("QuantizeLinear", f"{name}_steps", vectors, step, zero)
        beside = side_by_side(graph, name, in_steps, zero)
        z = graph.add("MatMulInteger", f"{name}_int", beside, graph.constant(f"{name}_kernel", quantized), zero)
        z = graph.add("Cast", f"{name}_float", z, to=TensorProto.FLOAT)
        z = graph.add("Mul", f"{name}_z", z, graph.constant(f"{name}_scale", scale * np.float32(vector_step)))
    z = graph.add("Add", f"{name}_biased", z, graph.constant(f"{name}_bias", one.bias))
    back = put_back(graph, name, z, len(one.bias))
    hidden = graph.add("ReduceMax", f"{name}_highest", back, axes=[1], keepdims=0)
    return graph.head(name, graph.add("Relu", f"{name}_hidden", hidden), one.out, one.out_bias)


def side_by_side(graph: Graph, name: str, vectors: str, zero: str) -> str:
    """[words, LONGEST * WIDTH]: each word behind those before it in its text, the farthest first."""
    pads = graph.constant("pads", np.array([LONGEST - 1, 0, 0, 0], np.int64))
    padded = graph.add("Pad", f"{name}_padded", vectors, pads, zero)
    moved = []
    for back in range(LONGEST - 1, 0, -1):
        start, end = LONGEST - 1 - back, -back
        bounds = [graph.constant(f"bound_{at}", np.array([at], np.int64)) for at in (start, end)]
        before = graph.add("Slice", f"{name}_before_{back}", padded, *bounds, graph.axes(0))
        at_least = graph.constant(f"at_least_{back}", np.array(back, np.int64))
        has = graph.add("GreaterOrEqual", f"{name}_has_{back}", "column", at_least)
        moved.append(graph.add("Where", f"{name}_moved_{back}", has, before, zero))
    return graph.add("Concat", f"{name}_windows", *moved, vectors, axis=1)


def bag(graph: Graph, words: str, norm: str, network: Network) -> str:
    back = put_back(graph, "bag", words, network.bag.embedding.shape[1])
    graph.add("ReduceSum", "bag", back, graph.axes(1), keepdims=0)
    graph.add("Div", "bag_mean", "bag", norm)
    graph.add("Add", "bag_biased", "bag_mean", graph.constant("bag_bias", network.bag.bias))
    return graph.head("bag", graph.add("Relu", "bag_hidden", "bag_biased"), network.bag.out, network.bag.out_bias)
