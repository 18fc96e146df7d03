"""Texts as the features that intent is trained on: n-grams by word, and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from hashed_ngrams import NgramSpec, row_ids, word_ids


@dataclass
class Texts:
    """`grams` [words of all texts, buckets + 1] counts the ids of each word; text i owns words `ends[i]` to `ends[i + 1]`."""

    grams: sp.csr_matrix
    ends: np.ndarray

    @staticmethod
    def of(texts: list[str], spec: NgramSpec) -> Texts:
        rows = [word_ids(text, spec) or [[]] for text in texts]  # a text without words has one without ids
        ends = np.cumsum([0, *map(len, rows)])
        return Texts(counts([ids for row in rows for ids in row], spec.buckets), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def words(self, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Words of the picked texts one behind the other, and how many each text has."""
        return np.concatenate([np.arange(self.ends[i], self.ends[i + 1]) for i in picked]), np.diff(self.ends)[picked]

    def bags(self) -> sp.csr_matrix:
        """[texts, buckets + 1]: how often each id stands in each text."""
        words = self.grams.shape[0]
        owner = sp.csr_matrix((np.ones(words, np.float32), np.arange(words), self.ends), shape=(len(self), words))
        return sp.csr_matrix(owner @ self.grams)


def flat_bags(texts: list[str], spec: NgramSpec) -> sp.csr_matrix:
    """The same of n-grams that do not stand by word."""
    return counts([row_ids(text, spec) for text in texts], spec.buckets)


def counts(rows: list[list[int]], buckets: int) -> sp.csr_matrix:
    ends = np.cumsum([0, *map(len, rows)])
    flat = np.fromiter((id for row in rows for id in row), np.int64, ends[-1])
    matrix = sp.csr_matrix((np.ones(len(flat), np.float32), flat, ends), shape=(len(rows), buckets + 1))
    matrix.sum_duplicates()
    return matrix


def inverse_document_frequency(bags: sp.csr_matrix) -> np.ndarray:
    """Smoothed idf of each id; 0 for ids that no text of `bags` has, so that the graph ignores them."""
    frequency = np.asarray((bags > 0).sum(axis=0)).ravel()
    return np.where(frequency > 0, np.log((1 + bags.shape[0]) / (1 + frequency)) + 1, 0)


def weigh(bags: sp.csr_matrix, idf: np.ndarray) -> sp.csr_matrix:
    """Counts times idf, each row divided by the root of the sum of its squared idf (what the graphs compute too)."""
    norm = np.sqrt(np.maximum(bags @ (idf * idf), 1))
    return sp.csr_matrix(sp.diags(1 / norm) @ bags @ sp.diags(idf)).astype(np.float32)


def mean_words(grams: sp.csr_matrix) -> sp.csr_matrix:
    """Each row divided by the root of its sum: a word's vector is the sum of its n-grams' over the root of their number."""
    norm = np.sqrt(np.maximum(np.asarray(grams.sum(axis=1)).ravel(), 1))
    return sp.csr_matrix(sp.diags((1 / norm).astype(np.float32)) @ grams)
