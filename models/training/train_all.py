"""Builds and trains every model of the repository, one after the other. Takes about two minutes on two cores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import common

SCRIPTS = {  # name -> whether it reads data
    "build_benchmark_models.py": False,
    "export_ngram_fixture.py": False,
    "train_credit_risk.py": True,
    "train_intent.py": True,
}


def main() -> None:
    args = common.arguments(__doc__, data=True)
    for script, reads_data in SCRIPTS.items():
        data = ["--data", str(args.data)] if reads_data else []
        command = [sys.executable, str(Path(__file__).parent / script), *data, "--models", str(args.models)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
