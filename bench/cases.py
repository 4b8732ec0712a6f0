"""Made-up lives of one sensor or a few, each with what is true of it: FOLDER/detection-cases/NAME.csv.gz and NAME.txt.

The text's first line is the command, which says the columns. A part of `python -m bench.evaluate FOLDER`.
"""

import gzip
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from tests.programs import program

SILENT = ("pattern-flat", "pattern-daily", "pattern-season", "pattern-weekend", "together-all--6", "state-feed-lost")
"""Beginnings of the names of those in which nothing is wrong. In the others something is, or has changed for good."""


def cases(folder: Path) -> Iterator[Figure]:
    """Count the cases of which what is true is said: found where something is wrong, and silence where nothing is."""
    right, total, wrong = 0, 0, []
    with tempfile.TemporaryDirectory() as name:
        for text in sorted((folder / "detection-cases").glob("*.txt")):
            alerts = _alerts(text, Path(name))
            total += 1
            if bool(alerts) is not text.stem.startswith(SILENT):
                right += 1
            else:
                wrong.append(f"{text.stem} ({len(alerts)})")
    yield Figure("cases: right", right, f"of {total}", note="; ".join(wrong))


def _alerts(text: Path, scratch: Path) -> list[object]:
    """Run a case's command; return the alerts."""
    _, command, *words = shlex.split(text.read_text(encoding="utf-8").splitlines()[0])
    csv = scratch / f"{text.stem}.csv"
    csv.write_bytes(gzip.decompress(text.with_suffix(".csv.gz").read_bytes()))
    done = subprocess.run(
        [program("vibration-gateway"), command, *words, "-o", "json"],
        cwd=scratch, capture_output=True, text=True, check=True,
    )  # fmt: skip
    csv.unlink()
    found: list[object] = json.loads(done.stdout)["alerts"]
    return found


if __name__ == "__main__":
    print(*(f"{figure.name} {figure.value:g} {figure.unit}: {figure.note}" for figure in cases(Path(sys.argv[1]))))
