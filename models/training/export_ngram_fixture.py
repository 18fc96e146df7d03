"""Writes the golden values that hold the worker's hashed n-grams to the ones used in training."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import common
from hashed_ngrams import NgramSpec, row_ids, word_ids

TARGET = common.MODELS.parent / "services/gpu-worker/test/unit/fixtures/hashed-ngrams.json"

TEXTS = [
    "",
    " \t\r\n ",
    "?!…",
    "a",
    "Hi",
    "Where is my card?",
    "WHERE   is\nmy card",
    "don't stop-me 24/7",
    "I was charged £5 in Zürich — twice!",
    "ÄÖÜ äöü İstanbul ǅ",
    "e\u0301 is not é",
    "日本語のカード",
    "カード card カード",
    "🙂👍🏽 ok",
    "my card my card my card",
    "\u0000nul\u0000",
    "a very long question " * 20,
]
# No valid UTF-8: a lone continuation byte, a cut sequence, bytes that never occur. Hashed as they are.
BYTES = [b"\x80abc", b"caf\xc3", b"\xff\xfe x", b"ab \xe2\x82 cd"]

SPECS = [
    NgramSpec(buckets=16384, max_ids=512, word_ngrams=(1, 2), char_ngrams=(3, 4)),
    NgramSpec(buckets=1000, max_ids=24, word_ngrams=(1, 2), char_ngrams=(3, 5)),
    NgramSpec(buckets=65536, max_ids=64, word_ngrams=(2, 3), char_ngrams=(1, 0)),
    NgramSpec(buckets=2**31 - 1, max_ids=64, word_ngrams=(1, 0), char_ngrams=(1, 2), lowercase=False),
    NgramSpec(buckets=16384, max_ids=12, word_ngrams=(1, 2), char_ngrams=(3, 4), max_words=6),
]


def written(text: bytes, spec: NgramSpec) -> str:
    """Ids with spaces between them; with `max_words`, a comma after each word but the last."""
    words = word_ids(text, spec) if spec.max_words else [row_ids(text, spec)]
    return ",".join(" ".join(map(str, ids)) for ids in words)


def main() -> None:
    common.arguments(__doc__)
    data = [text.encode() for text in TEXTS] + BYTES
    rows = [
        {
            "spec": {key: value for key, value in asdict(spec).items() if value is not None},
            "rows": [{"hex": text.hex(), "ids": written(text, spec)} for text in data],
        }
        for spec in SPECS
    ]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    # Laid out as the project's formatter does, which keeps a list of numbers on one line.
    text = re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", json.dumps(rows, indent=2))
    TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
