"""Trains intent: the intent (one of 77) of a bank customer's question, from hashed n-grams.

Three variants are written to models/intent: the full model (a bag of n-grams and windows of words), the same with integer
arithmetic, and a linear softmax. The full one is the model if it beats the linear one by a point on the held-out rows;
otherwise this stops. With --validate nothing is written: both forms are judged by cross-validation on the other rows,
which is how their settings were chosen."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

import common
from hashed_ngrams import NgramSpec, hashed_ngrams
from intent_features import Texts, flat_bags, inverse_document_frequency, mean_words, weigh
from intent_graphs import NAME, linear_graph, network_graph
from intent_networks import Network, train_bag, train_windows

FOLDER = "text/banking77"
QUESTIONS = Path(__file__).parent / "intent_questions.json"
# As in model.yaml.
SPEC = NgramSpec(buckets=16384, max_ids=24, word_ngrams=(1, 2), char_ngrams=(3, 4), max_words=48)
LINEAR_SPEC = NgramSpec(buckets=16384, max_ids=512, word_ngrams=(1, 2), char_ngrams=(3, 4))

MARGIN = 0.01  # what the full model must be better by
INVERSE_REGULARISATION = 30  # of the linear form
SEEDS = (0, 1)  # of the networks of windows
FOLDS = 5


@dataclass
class Data:
    texts: list[str]
    label: np.ndarray
    labels: list[str]
    by_word: Texts
    bags: np.ndarray  # [texts, buckets + 1], sparse
    flat: np.ndarray


def read(folder: Path) -> Data:
    rows = common.read_csv(folder / "train.csv")
    labels = json.loads((folder / "categories.json").read_text(encoding="utf-8"))
    texts = [row["text"].strip() for row in rows]
    label = np.array([labels.index(row["category"]) for row in rows])
    by_word = Texts.of(texts, SPEC)
    return Data(texts, label, labels, by_word, by_word.bags(), flat_bags(texts, LINEAR_SPEC))


def train_network(data: Data, rows: np.ndarray) -> Network:
    idf = inverse_document_frequency(data.bags[rows])
    label, classes = data.label[rows], len(data.labels)
    bag = train_bag(weigh(data.bags[rows], idf), label, classes, seed=0)
    return Network(idf, bag, [train_windows(data.by_word, rows, label, classes, idf > 0, seed) for seed in SEEDS])


def train_linear(data: Data, rows: np.ndarray) -> tuple[LogisticRegression, np.ndarray]:
    idf = inverse_document_frequency(data.flat[rows])
    return LogisticRegression(C=INVERSE_REGULARISATION, max_iter=100).fit(weigh(data.flat[rows], idf), data.label[rows]), idf


def judge(what: str, label: np.ndarray, guess: np.ndarray) -> float:
    """Prints accuracy and macro-F1; returns the accuracy."""
    accuracy, macro = float(np.mean(label == guess)), f1_score(label, guess, average="macro")
    print(f"{NAME}: {what}: accuracy {accuracy:.4f}, macro-F1 {macro:.4f}, n = {len(label)}", flush=True)
    return accuracy


def validate(data: Data, rows: np.ndarray, folds: int) -> None:
    """Cross-validation on `rows`; equal texts stay in one fold."""
    first: dict[str, int] = {}
    group = np.array([first.setdefault(data.texts[row], len(first)) for row in rows])
    fold = np.random.default_rng(42).permutation(len(first))[group] % FOLDS
    guesses: dict[str, list[np.ndarray]] = {"linear": [], "bag alone": [], "one of windows alone": [], "full": []}
    labels = []
    for k in range(folds):
        learn, check = rows[fold != k], rows[fold == k]
        linear, idf = train_linear(data, learn)
        network = train_network(data, learn)
        labels.append(data.label[check])
        guesses["linear"].append(linear.predict(weigh(data.flat[check], idf)))
        guesses["bag alone"].append(network.bag.predict(weigh(data.bags[check], network.idf)).argmax(axis=1))
        guesses["one of windows alone"].append(network.windows[0].predict(data.by_word, check).argmax(axis=1))
        guesses["full"].append(network.predict(data.by_word, data.bags, check).argmax(axis=1))
    for what, guess in guesses.items():
        judge(f"{what}, {folds} folds of {FOLDS}", np.concatenate(labels), np.concatenate(guess))


def vector_step(network: Network, data: Data, rows: np.ndarray) -> float:
    """One step of a byte that holds nearly every element of the words' vectors of `rows`."""
    words, _ = data.by_word.words(rows)
    grams = mean_words(data.by_word.grams[words])
    return max(float(np.quantile(np.abs(grams @ one.embedding), 0.9999)) for one in network.windows) / 127


def padded(texts: list[str], spec: NgramSpec) -> np.ndarray:
    """Ids as the worker makes them: no wider than the longest text needs, in steps."""
    ids = hashed_ngrams(texts, spec)
    step = 8 if spec.max_words else 64
    used = int(np.flatnonzero(ids.any(axis=0) if ids.ndim == 2 else ids.any(axis=(0, 2))).max(initial=0)) + 1
    return np.ascontiguousarray(ids[:, : -(-used // step) * step])


def answer(session: onnxruntime.InferenceSession, texts: list[str], spec: NgramSpec) -> np.ndarray:
    parts = [texts[i : i + 32] for i in range(0, len(texts), 32)]
    return np.concatenate([session.run(["scores"], {"ids": padded(part, spec)})[0] for part in parts])


def expected_cases(session: onnxruntime.InferenceSession, questions: list[str], labels: list[str]) -> list[common.Case]:
    """The project's own questions, one a case, then the first eight as one batch."""
    cases: list[common.Case] = []
    for texts in [*([question] for question in questions), questions[:8]]:
        scores = answer(session, texts, SPEC)
        label = np.array([[labels[best]] for best in scores.argmax(axis=1)], object)
        cases.append(({"text": np.array(texts, object)[:, None]}, {"label": label, "scores": scores}))
    return cases


def time_runs(what: str, session: onnxruntime.InferenceSession, texts: list[str], spec: NgramSpec) -> None:
    for rows in (1, 32):
        inputs = {"ids": padded(texts[:rows], spec)}
        rate = common.rows_per_second(lambda inputs=inputs: session.run(["scores"], inputs), rows)
        shape = "x".join(map(str, inputs["ids"].shape))
        print(f"{NAME}: {what}, ids {shape}: {1000 * rows / rate:.3f} ms a run, {rate:,.0f} rows/s, one thread", flush=True)


def main() -> None:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--validate", type=int, metavar="FOLDS", help=f"judge on so many of {FOLDS} folds, write nothing")

    args = common.arguments(__doc__, data=True, more=add)
    data = read(args.data / FOLDER)
    test = common.held_out(data.texts)
    learn, held = np.flatnonzero(~test), np.flatnonzero(test)
    if args.validate:
        validate(data, learn, args.validate)
        return

    linear, idf = train_linear(data, learn)
    network = train_network(data, learn)
    step = vector_step(network, data, learn)
    graphs = {
        "": (network_graph(network, SPEC.max_ids), SPEC),
        "int8": (network_graph(network, SPEC.max_ids, step), SPEC),
        "lite": (linear_graph(linear.coef_.T, linear.intercept_, idf), LINEAR_SPEC),
    }
    questions = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    held_texts = [data.texts[row] for row in held]
    accuracy: dict[str, float] = {}
    variant_labels: dict[str, list[str]] = {}
    for variant, (graph, spec) in graphs.items():
        session = common.open_session(common.save(graph, args.models, NAME, variant))
        what = variant or "full"
        learned = answer(session, [data.texts[row] for row in learn], spec).argmax(axis=1)
        judge(f"{what}, train", data.label[learn], learned)
        accuracy[what] = judge(f"{what}, held out", data.label[held], answer(session, held_texts, spec).argmax(axis=1))
        time_runs(what, session, held_texts, spec)
        variant_labels[variant] = [data.labels[best] for best in answer(session, questions, spec).argmax(axis=1)]
        if variant == "":
            cases = expected_cases(session, questions, data.labels)

    (args.models / NAME / "labels.json").write_text(json.dumps(data.labels, indent=1) + "\n", encoding="utf-8")
    common.write_expected(args.models, NAME, cases, {key: value for key, value in variant_labels.items() if key})
    lead = accuracy["full"] - accuracy["lite"]
    print(f"{NAME}: the full model is {100 * lead:.2f} points better than the linear one", flush=True)
    if lead < MARGIN:
        raise SystemExit(f"{NAME}: expected at least {100 * MARGIN:.0f} point: the linear form should be the model")


if __name__ == "__main__":
    main()
