"""The ids of hashed n-grams with numpy, for `intent`: the same as models/training/hashed_ngrams.py in less than half the time.

A peer should not lose time to a loop over bytes that its author would not have written so. FNV-1a of all n-grams of one
length is computed at once, one byte of each a step. Text that is not ASCII takes the plain way.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from oip_model import MODELS

sys.path.append(str(MODELS / "training"))
from hashed_ngrams import FNV_PRIME, NgramSpec, fnv1a, hashed_ngrams, ngrams, word_ids, words_of  # noqa: E402

# The `preprocess` block of models/intent/model.yaml.
SPEC = NgramSpec(buckets=16384, max_ids=24, word_ngrams=(1, 2), char_ngrams=(3, 4), lowercase=True, max_words=48)
CHAR_OFFSET = np.uint32(fnv1a(b"c"))
PRIME = np.uint32(FNV_PRIME)


def char_ids(text: bytes) -> np.ndarray:
    """[bytes, lengths]: ids of the character n-grams of an ASCII text by where they start; 0 where one would go past the end."""
    low, high = SPEC.char_ngrams
    bytes_ = np.frombuffer(text, np.uint8).astype(np.uint32)
    count = len(bytes_)
    state = np.full(count, CHAR_OFFSET, np.uint32)
    ids = np.zeros((count, high - low + 1), np.int32)
    for n in range(1, min(high, count) + 1):
        left = count - n + 1
        state[:left] = (state[:left] ^ bytes_[n - 1 :]) * PRIME
        if n >= low:
            ids[:left, n - low] = 1 + state[:left] % SPEC.buckets
    return ids


def ids_of(text: str) -> np.ndarray:
    """INT32 [words, max_ids] of one text: its n-grams with the word that they start in."""
    if not text.isascii():
        return hashed_ngrams([text], SPEC)[0, : len(word_ids(text, SPEC))]
    words = words_of(text.encode(), SPEC.lowercase)
    used = words[: SPEC.max_words]
    out = np.zeros((len(used), SPEC.max_ids), np.int32)
    if not used:
        return out
    chars = char_ids(b" " + b" ".join(words) + b" ")
    start = 0
    for row, word in enumerate(used):
        end = start + 1 + len(word)  # the space before it counts to a word
        own = ngrams(words, b" ", b"w", SPEC.word_ngrams, SPEC.buckets, range(row, row + 1))
        letters = chars[start:end].ravel()
        ids = np.concatenate([own, letters[letters > 0]])[: SPEC.max_ids]
        out[row, : len(ids)] = ids
        start = end
    return out


def text_ids(texts: Sequence[str]) -> np.ndarray:
    """INT32 [rows, words, max_ids], padded with 0 to the longest text."""
    rows = [ids_of(text) for text in texts]
    out = np.zeros((len(rows), max(1, *map(len, rows)), SPEC.max_ids), np.int32)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = ids
    return out
