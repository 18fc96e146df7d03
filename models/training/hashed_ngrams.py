"""Text -> ids of hashed n-grams, byte for byte what services/gpu-worker/src/core/hashed-ngrams.ts does.

Rules, all on the UTF-8 bytes of the text (no Unicode normalisation, no locale):
1. `lowercase` maps A-Z to a-z and nothing else.
2. A word is a longest run of ASCII letters, ASCII digits and bytes >= 0x80; every other byte separates words.
3. Word n-grams: n words joined by one space, for each n of the inclusive range `word_ngrams`.
4. Character n-grams: n code points of " word word ... word ", for each n of the inclusive range `char_ngrams`; a code
   point is a byte that is no continuation byte (10xxxxxx) and the continuation bytes after it. No words, no n-grams.
5. id = 1 + FNV-1a-32(prefix + n-gram) % buckets; prefix is the byte "w" or "c". Id 0 is padding.
6. Order: word n-grams by first word, then by length; then character n-grams likewise. What exceeds `max_ids` is cut off.
   A repeated n-gram repeats its id.
7. With `max_words`, n-grams stand with the word that they start in, a space counting to the word behind it; each of the
   first so many words has its ids in the order of rule 6, cut at `max_ids`: the ids of a text are [words, max_ids].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FNV_OFFSET = 0x811C9DC5
FNV_PRIME = 0x01000193


@dataclass(frozen=True)
class NgramSpec:
    """The `preprocess` block of model.yaml; ranges are inclusive, an empty range is (1, 0)."""

    buckets: int
    max_ids: int
    word_ngrams: tuple[int, int] = (1, 2)
    char_ngrams: tuple[int, int] = (3, 5)
    lowercase: bool = True
    max_words: int | None = None


def fnv1a(data: bytes, state: int = FNV_OFFSET) -> int:
    """FNV-1a, 32 bits (Fowler, Noll, Vo); `state` continues an earlier hash."""
    for byte in data:
        state = ((state ^ byte) * FNV_PRIME) & 0xFFFFFFFF
    return state


def words_of(text: bytes, lowercase: bool) -> list[bytes]:
    """Rules 1 and 2."""
    text = text.lower() if lowercase else text  # bytes.lower() is ASCII only
    kept = bytes(b if b >= 0x80 or chr(b).isalnum() else 0x20 for b in text)
    return kept.split()


def ngrams(
    units: list[bytes],
    joiner: bytes,
    prefix: bytes,
    sizes: tuple[int, int],
    buckets: int,
    starts: range | None = None,
) -> list[int]:
    """Ids of the n-grams of `units` that begin at `starts` (left out: at any): by start, then by length."""
    ids = []
    for start in range(len(units)) if starts is None else starts:
        state = fnv1a(prefix)
        for n, unit in enumerate(units[start : start + sizes[1]], start=1):
            state = fnv1a(joiner + unit if n > 1 else unit, state)
            if n >= sizes[0]:
                ids.append(1 + state % buckets)
    return ids


def code_points(text: bytes) -> list[bytes]:
    """Bytes cut before each byte that is no continuation byte."""
    starts = [i for i, b in enumerate(text) if b & 0xC0 != 0x80]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def row_ids(text: str | bytes, spec: NgramSpec) -> list[int]:
    """Ids of one text, not padded, cut at `max_ids`."""
    data = text.encode() if isinstance(text, str) else text
    words = words_of(data, spec.lowercase)
    if not words:
        return []
    ids = ngrams(words, b" ", b"w", spec.word_ngrams, spec.buckets)
    ids += ngrams(code_points(b" " + b" ".join(words) + b" "), b"", b"c", spec.char_ngrams, spec.buckets)
    return ids[: spec.max_ids]


def word_ids(text: str | bytes, spec: NgramSpec) -> list[list[int]]:
    """Rule 7: the ids of each word, not padded."""
    words = words_of(text.encode() if isinstance(text, str) else text, spec.lowercase)
    letters = code_points(b" " + b" ".join(words) + b" ")
    rows: list[list[int]] = []
    start = 0
    for index, word in enumerate(words[: spec.max_words]):
        end = start + 1 + len(code_points(word))
        ids = ngrams(words, b" ", b"w", spec.word_ngrams, spec.buckets, range(index, index + 1))
        ids += ngrams(letters, b"", b"c", spec.char_ngrams, spec.buckets, range(start, end))
        rows.append(ids[: spec.max_ids])
        start = end
    return rows


def hashed_ngrams(texts: list[str] | list[bytes], spec: NgramSpec) -> np.ndarray:
    """INT32 [rows, max_ids] or [rows, max_words, max_ids], padded with 0."""
    out = np.zeros((len(texts), spec.max_words or 1, spec.max_ids), np.int32)
    for row, text in enumerate(texts):
        for word, ids in enumerate(word_ids(text, spec) if spec.max_words else [row_ids(text, spec)]):
            out[row, word, : len(ids)] = ids
    return out if spec.max_words else out[:, 0]
