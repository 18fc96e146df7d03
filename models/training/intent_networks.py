"""The two networks of intent, in NumPy with their gradients by hand: a bag of n-grams, and windows of words.

Both end in a softmax over the intents; the model is the mean of their answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from intent_features import Texts, mean_words, weigh

BATCH = 64
WARM_UP_STEPS = 200
LABEL_SMOOTHING = 0.1
HIDDEN_DROPOUT = 0.5

BAG_HIDDEN = 256
BAG_EPOCHS = 12
BAG_RATE = 3e-3
BAG_DROPOUT = 0.5  # of the n-grams of a text

WIDTH = 128  # of a word's vector
CHANNELS = 128  # for each length of window
WINDOWS = (1, 2, 3, 4)  # words
OFFSETS = [(window, back) for window in WINDOWS for back in range(window)]  # back: words before the window's last
WINDOW_EPOCHS = 20
WINDOW_RATE = 2e-3
WORD_DROPOUT = 0.2  # whole words
GRAM_DROPOUT = 0.1  # n-grams of a word
WIDTH_DROPOUT = 0.3  # dimensions of all words of a text


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


def normal(rng: np.random.Generator, rows: int, columns: int, deviation: float) -> np.ndarray:
    return rng.normal(0, deviation, (rows, columns)).astype(np.float32)


def keep(rng: np.random.Generator, shape: int | tuple[int, ...], dropout: float) -> np.ndarray:
    """Inverted dropout: 0, or 1 / (1 - dropout)."""
    return ((rng.random(shape, np.float32) >= dropout) / np.float32(1 - dropout)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


class Head:
    """hidden -> softmax(hidden @ out + bias), trained by cross-entropy with label smoothing and dropout on `hidden`."""

    def __init__(self, rng: np.random.Generator, hidden: int, label: np.ndarray, classes: int):
        self.rng, self.out, self.bias = rng, Adam(normal(rng, hidden, classes, 0.05)), Adam(np.zeros(classes, np.float32))
        self.target = np.full((len(label), classes), LABEL_SMOOTHING / classes, np.float32)
        self.target[np.arange(len(label)), label] += 1 - LABEL_SMOOTHING

    def step(self, hidden: np.ndarray, picked: np.ndarray, rate: float, step: int) -> np.ndarray:
        """Updates the head; returns the gradient at `hidden`, which is 0 where a unit is."""
        mask = keep(self.rng, hidden.shape, HIDDEN_DROPOUT)
        kept = hidden * mask
        answer = softmax(kept @ self.out.value + self.bias.value)
        error = (answer - self.target[picked]) / np.float32(len(picked))
        back = (error @ self.out.value.T) * mask * (hidden > 0)
        self.out.step(kept.T @ error, rate, step)
        self.bias.step(error.sum(axis=0), rate, step)
        return back


def batches(rng: np.random.Generator, rows: int, epochs: int, peak: float):
    """Shuffled batches with the number of the step (from 1) and its learning rate: up to the peak, then down to near 0."""
    steps, step = epochs * -(-rows // BATCH), 0
    for _ in range(epochs):
        order = rng.permutation(rows)
        for start in range(0, rows, BATCH):
            step += 1
            yield order[start : start + BATCH], step, peak * min(1, step / WARM_UP_STEPS) * (1 - 0.95 * step / steps)


def compact(matrix: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray]:
    """The columns that are used, and which these are."""
    used, column = np.unique(matrix.indices, return_inverse=True)
    return sp.csr_matrix((matrix.data, column, matrix.indptr), shape=(matrix.shape[0], len(used))), used


@dataclass
class Bag:
    """relu(weighed n-grams of the text @ embedding + bias) -> head."""

    embedding: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def predict(self, x: sp.csr_matrix) -> np.ndarray:
        return softmax(np.maximum(x @ self.embedding + self.bias, 0) @ self.out + self.out_bias)


def train_bag(x: sp.csr_matrix, label: np.ndarray, classes: int, seed: int) -> Bag:
    """@param x Weighed n-grams of the texts."""
    rng = np.random.default_rng(seed)
    embedding = Adam(normal(rng, x.shape[1], BAG_HIDDEN, 0.1))
    bias = Adam(np.zeros(BAG_HIDDEN, np.float32))
    head = Head(rng, BAG_HIDDEN, label, classes)
    for picked, step, rate in batches(rng, x.shape[0], BAG_EPOCHS, BAG_RATE):
        some, used = compact(x[picked])
        some.data = some.data * keep(rng, some.nnz, BAG_DROPOUT)
        back = head.step(np.maximum(some @ embedding.value[used] + bias.value, 0), picked, rate, step)
        bias.step(back.sum(axis=0), rate, step)
        embedding.step(np.asarray(some.T @ back), rate, step, used)
    return Bag(embedding.value, bias.value, head.out.value, head.bias.value)


@dataclass
class Windows:
    """Words as vectors, a linear map with ReLU over every window of words, the highest value of each channel -> head.

    `kernel` [WIDTH, len(OFFSETS) * CHANNELS]: a block of columns for each of OFFSETS. A text is as if words of zeros stood
    before it (Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014)."""

    embedding: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def predict(self, texts: Texts, picked: np.ndarray) -> np.ndarray:
        vectors = mean_words(texts.grams) @ self.embedding
        answers = []
        for start in range(0, len(picked), BATCH):
            words, lengths = texts.words(picked[start : start + BATCH])
            z = slide(vectors[words] @ self.kernel, self.bias, place_of(lengths))
            highest = np.maximum(np.maximum.reduceat(z, starts_of(lengths), axis=0), 0)
            answers.append(softmax(highest @ self.out + self.out_bias))
        return np.concatenate(answers)


def starts_of(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])


def place_of(lengths: np.ndarray) -> np.ndarray:
    """Place of each word in its own text."""
    return np.arange(lengths.sum()) - np.repeat(starts_of(lengths), lengths)


def channels_of(window: int) -> slice:
    at = WINDOWS.index(window) * CHANNELS
    return slice(at, at + CHANNELS)


def slide(parts: np.ndarray, bias: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Sums the parts of every window at its last word. @param parts [words, a block for each of OFFSETS]"""
    z = np.repeat(bias[None], len(parts), axis=0)
    for block, (window, back) in enumerate(OFFSETS):
        part = parts[:, block * CHANNELS : (block + 1) * CHANNELS]
        z[back:, channels_of(window)] += np.where((place[back:] >= back)[:, None], part[: len(part) - back], 0)
    return z


def slide_back(gradient: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The gradient at the parts, of the gradient at their sums."""
    parts = np.zeros((len(gradient), len(OFFSETS) * CHANNELS), np.float32)
    for block, (window, back) in enumerate(OFFSETS):
        of = gradient[back:, channels_of(window)]
        parts[: len(parts) - back, block * CHANNELS : (block + 1) * CHANNELS] = np.where((place[back:] >= back)[:, None], of, 0)
    return parts


def train_windows(texts: Texts, rows: np.ndarray, label: np.ndarray, classes: int, known: np.ndarray, seed: int) -> Windows:
    """@param rows The texts to train on, with their labels. @param known Of each id, whether one of those texts has it."""
    rng = np.random.default_rng(seed)
    grams = sp.csr_matrix(texts.grams @ sp.diags(known.astype(np.float32)))
    grams.eliminate_zeros()
    embedding = Adam(normal(rng, grams.shape[1], WIDTH, 0.1))
    kernel = Adam(np.concatenate([normal(rng, WIDTH, CHANNELS, (2 / (w * WIDTH)) ** 0.5) for w, _ in OFFSETS], axis=1))
    bias = Adam(np.zeros(len(WINDOWS) * CHANNELS, np.float32))
    head = Head(rng, len(WINDOWS) * CHANNELS, label, classes)
    for picked, step, rate in batches(rng, len(rows), WINDOW_EPOCHS, WINDOW_RATE):
        words, lengths = texts.words(rows[picked])
        place, owner = place_of(lengths), np.repeat(np.arange(len(picked)), lengths)
        kept = (rng.random(len(words), np.float32) >= WORD_DROPOUT).astype(np.float32)[:, None]
        some = grams[words]
        some.data = some.data * (rng.random(some.nnz, np.float32) >= GRAM_DROPOUT)
        some, used = compact(mean_words(some))
        gate = keep(rng, (len(picked), WIDTH), WIDTH_DROPOUT)[owner] * kept
        vectors = (some @ embedding.value[used]) * gate

        z = slide(vectors @ kernel.value, bias.value, place) * kept
        highest = np.maximum(np.maximum.reduceat(z, starts_of(lengths), axis=0), 0)
        at_highest = head.step(highest, picked, rate, step)
        at_z = np.where(z == highest[owner], at_highest[owner], 0) * kept
        at_parts = slide_back(at_z, place)
        at_vectors = (at_parts @ kernel.value.T) * gate
        bias.step(at_z.sum(axis=0), rate, step)
        kernel.step(vectors.T @ at_parts, rate, step)
        embedding.step(np.asarray(some.T @ at_vectors), rate, step, used)
    return Windows(embedding.value * known[:, None], kernel.value, bias.value, head.out.value, head.bias.value)


@dataclass
class Network:
    """The mean of a bag and of networks of windows with different seeds."""

    idf: np.ndarray
    bag: Bag
    windows: list[Windows]

    def predict(self, texts: Texts, bags: sp.csr_matrix, rows: np.ndarray) -> np.ndarray:
        answers = [self.bag.predict(weigh(bags[rows], self.idf)), *(one.predict(texts, rows) for one in self.windows)]
        return np.mean(answers, axis=0)
