"""Trains intent: the intent (one of 77) of a bank customer's question, from hashed n-grams.

Two forms are trained and reported, a linear softmax and a network with one hidden layer; the network is written only
if its held-out accuracy is a point better. Writes models/intent: ONNX file, labels.json and test vectors of the
project's own questions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from onnx import helper
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

import common
from common import TensorProto
from hashed_ngrams import NgramSpec, hashed_ngrams, row_ids

NAME = "intent"
FOLDER = "text/banking77"
QUESTIONS = Path(__file__).parent / "intent_questions.json"
SPEC = NgramSpec(buckets=16384, max_ids=512, word_ngrams=(1, 2), char_ngrams=(3, 4))  # as in model.yaml

MARGIN = 0.01  # what the network must be better by to be worth twice the work of the linear form
INVERSE_REGULARISATION = 30  # of the linear form, chosen by cross-validation on the training split

HIDDEN = 256
EPOCHS = 10
BATCH = 64
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 200
INPUT_DROPOUT = 0.3  # of the n-grams of a text
HIDDEN_DROPOUT = 0.5
LABEL_SMOOTHING = 0.1
SEED = 0


def count_matrix(texts: list[str]) -> sp.csr_matrix:
    """[rows, buckets + 1]: how often each id stands in each text."""
    ids = [row_ids(text, SPEC) for text in texts]
    ends = np.cumsum([0, *map(len, ids)])
    flat = np.concatenate([np.array(row, np.int64) for row in ids])
    counts = sp.csr_matrix((np.ones(len(flat)), flat, ends), shape=(len(texts), SPEC.buckets + 1))
    counts.sum_duplicates()
    return counts


def inverse_document_frequency(counts: sp.csr_matrix) -> np.ndarray:
    """Smoothed idf of each id; 0 for ids that no text of `counts` has, so that the graph ignores them."""
    frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
    return np.where(frequency > 0, np.log((1 + counts.shape[0]) / (1 + frequency)) + 1, 0)


def weigh(counts: sp.csr_matrix, idf: np.ndarray) -> sp.csr_matrix:
    """Counts times idf, each row divided by the root of the sum of its squared idf (what the graph computes too)."""
    norm = np.sqrt(np.maximum(counts @ (idf * idf), 1))
    return sp.csr_matrix(sp.diags(1 / norm) @ counts @ sp.diags(idf)).astype(np.float32)


class Adam:
    """Adam (Kingma and Ba, 2015); with `rows` only those rows of the parameter are touched."""

    def __init__(self, value: np.ndarray):
        self.value, self.mean, self.square = value, np.zeros_like(value), np.zeros_like(value)

    def step(self, gradient: np.ndarray, rate: float, step: int, rows: np.ndarray | slice = slice(None)) -> None:
        mean = self.mean[rows] * np.float32(0.9) + np.float32(0.1) * gradient
        square = self.square[rows] * np.float32(0.999) + np.float32(0.001) * gradient**2
        self.mean[rows], self.square[rows] = mean, square
        scale = np.float32(rate / (1 - 0.9**step))
        self.value[rows] -= scale * mean / (np.sqrt(square / np.float32(1 - 0.999**step)) + np.float32(1e-8))


@dataclass
class Network:
    """x [rows, buckets + 1] -> relu(x @ embedding + bias) @ out + out_bias."""

    embedding: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def predict(self, x: sp.csr_matrix) -> np.ndarray:
        return (np.maximum(x @ self.embedding + self.bias, 0) @ self.out + self.out_bias).argmax(axis=1)


def train(x: sp.csr_matrix, label: np.ndarray, classes: int) -> Network:
    """Softmax cross-entropy with label smoothing, dropout on n-grams and hidden units, learning rate down to near 0."""
    rng = np.random.default_rng(SEED)
    rows = x.shape[0]
    embedding = Adam((rng.normal(0, 0.3 / np.sqrt(HIDDEN), (x.shape[1], HIDDEN))).astype(np.float32))
    bias = Adam(np.zeros(HIDDEN, np.float32))
    out = Adam(rng.normal(0, 1 / np.sqrt(HIDDEN), (HIDDEN, classes)).astype(np.float32))
    out_bias = Adam(np.zeros(classes, np.float32))
    target = np.full((rows, classes), LABEL_SMOOTHING / classes, np.float32)
    target[np.arange(rows), label] += 1 - LABEL_SMOOTHING
    steps, step = EPOCHS * -(-rows // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(rows)
        for start in range(0, rows, BATCH):
            step += 1
            picked = order[start : start + BATCH]
            some = x[picked]
            kept = (rng.random(some.nnz) >= INPUT_DROPOUT) / np.float32(1 - INPUT_DROPOUT)
            used, column = np.unique(some.indices, return_inverse=True)
            values = (some.data * kept).astype(np.float32)
            bag = sp.csr_matrix((values, column, some.indptr), shape=(len(picked), len(used)))

            z = bag @ embedding.value[used] + bias.value
            mask = ((rng.random(z.shape) >= HIDDEN_DROPOUT) / (1 - HIDDEN_DROPOUT)).astype(np.float32)
            hidden = np.maximum(z, 0) * mask
            logits = hidden @ out.value + out_bias.value
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            error = (odds / odds.sum(axis=1, keepdims=True) - target[picked]) / np.float32(len(picked))
            back = (error @ out.value.T) * mask * (z > 0)

            rate = LEARNING_RATE * min(1, step / WARM_UP_STEPS) * (1 - 0.95 * step / steps)
            out.step(hidden.T @ error, rate, step)
            out_bias.step(error.sum(axis=0), rate, step)
            bias.step(back.sum(axis=0), rate, step)
            embedding.step(np.asarray(bag.T @ back), rate, step, used)
    return Network(embedding.value, bias.value, out.value, out_bias.value)


def to_onnx(table: np.ndarray, bias: np.ndarray, idf: np.ndarray, head: tuple[np.ndarray, np.ndarray] | None):
    """Graph: ids -> Gather -> sum / norm + bias -> softmax; with `head` (weights, bias) a hidden layer before softmax.

    Rows of `table` are ids; row 0 (padding) and ids never seen are zero, because their idf is. The table is stored in
    int8 with one scale a column; ONNX Runtime folds Cast and Mul into an FP32 table when it loads the model, so they
    cost nothing at run time.
    """
    weighted = table * idf[:, None]
    scale = np.abs(weighted).max(axis=0) / 127
    values = {
        "table_int8": np.round(weighted / scale).astype(np.int8),
        "table_scale": scale.astype(np.float32),
        "idf_squared": (idf * idf).astype(np.float32),
        "axis_ids": np.array([1], np.int64),
        "one": np.array(1, np.float32),
        "bias": bias.astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["table_int8"], ["table_cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["table_cast", "table_scale"], ["table"]),
        helper.make_node("Gather", ["table", "ids"], ["embedded"], axis=0),
        helper.make_node("ReduceSum", ["embedded", "axis_ids"], ["bag"], keepdims=0),
        helper.make_node("Gather", ["idf_squared", "ids"], ["squares"], axis=0),
        helper.make_node("ReduceSum", ["squares", "axis_ids"], ["square_sum"], keepdims=1),
        helper.make_node("Max", ["square_sum", "one"], ["square_norm"]),
        helper.make_node("Sqrt", ["square_norm"], ["norm"]),
        helper.make_node("Div", ["bag", "norm"], ["mean"]),
        helper.make_node("Add", ["mean", "bias"], ["z"]),
    ]
    if head is not None:
        values |= {"out": head[0], "out_bias": head[1]}
        nodes.append(helper.make_node("Relu", ["z"], ["hidden"]))
        nodes.append(helper.make_node("Gemm", ["hidden", "out", "out_bias"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["z" if head is None else "logits"], ["scores"], axis=1))
    classes = table.shape[1] if head is None else head[0].shape[1]
    return common.graph(
        NAME,
        nodes,
        [("ids", TensorProto.INT32, ["batch", "ids"])],
        [("scores", TensorProto.FLOAT, ["batch", classes])],
        [common.constant(name, value) for name, value in values.items()],
    )


def report(what: str, label: np.ndarray, guess: np.ndarray) -> float:
    """Prints accuracy and macro-F1; returns the accuracy."""
    accuracy, macro = float(np.mean(label == guess)), f1_score(label, guess, average="macro")
    print(f"{NAME}: {what}: accuracy {accuracy:.4f}, macro-F1 {macro:.4f}, n = {len(label)}", flush=True)
    return accuracy


def expected_cases(session, labels: list[str]) -> list[common.Case]:
    """The project's own questions, one a case, then the first eight as one batch."""
    questions = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    cases: list[common.Case] = []
    for texts in [*([question] for question in questions), questions[:8]]:
        scores = session.run(["scores"], {"ids": hashed_ngrams(texts, SPEC)})[0]
        label = np.array([[labels[best]] for best in scores.argmax(axis=1)], object)
        cases.append(({"text": np.array(texts, object)[:, None]}, {"label": label, "scores": scores}))
    return cases


def main() -> None:
    args = common.arguments(__doc__, data=True)
    rows = common.read_csv(args.data / FOLDER / "train.csv")
    labels = json.loads((args.data / FOLDER / "categories.json").read_text(encoding="utf-8"))
    texts = [row["text"].strip() for row in rows]
    label = np.array([labels.index(row["category"]) for row in rows])
    test = common.held_out(texts)
    counts = count_matrix(texts)
    idf = inverse_document_frequency(counts[~test])
    x = weigh(counts, idf)

    linear = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=100).fit(x[~test], label[~test])
    linear_accuracy = report("linear softmax, held out", label[test], linear.predict(x[test]))
    network = train(x[~test], label[~test], len(labels))
    network_accuracy = report(f"network with {HIDDEN} hidden units, held out", label[test], network.predict(x[test]))

    wins = network_accuracy >= linear_accuracy + MARGIN
    print(f"{NAME}: the {'network' if wins else 'linear form'} is the model")
    if wins:
        model = to_onnx(network.embedding, network.bias, idf, (network.out, network.out_bias))
    else:
        model = to_onnx(linear.coef_.T, linear.intercept_, idf, None)
    session = common.open_session(common.save(model, args.models, NAME))
    ids = hashed_ngrams(texts, SPEC)
    guess = np.concatenate(
        [session.run(["scores"], {"ids": ids[i : i + 32]})[0].argmax(axis=1) for i in range(0, len(ids), 32)]
    )
    report("ONNX file, train", label[~test], guess[~test])
    report("ONNX file, held out", label[test], guess[test])

    folder = args.models / NAME
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")
    common.write_expected(args.models, NAME, expected_cases(session, labels))
    for batch, width in ((1, 512), (1, 128), (32, 512), (32, 256)):
        inputs = {"ids": np.ascontiguousarray(ids[:batch, :width])}
        rate = common.rows_per_second(lambda inputs=inputs: session.run(["scores"], inputs), batch)
        print(f"{NAME}: batch {batch}, {width} ids a row: {rate:,.0f} rows/s, plain ONNX Runtime, one thread")


if __name__ == "__main__":
    main()
