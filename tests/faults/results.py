"""The figures of a row: one line of JSON for each test that has passed its last check."""

import json
import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

REPORT = "FAULTS_REPORT"
"""The environment variable that names the file; without it nothing is written."""

FIGURES = {
    "sent": "sent",
    "acknowledged": "acknowledged by the broker",
    "stored": "stored, unique",
    "redelivered": "came again, recognised",
    "in_influxdb": "in InfluxDB, unique",
    "dead_letters": "dead letters by reason",
    "alerts": "alerts",
    "messages": "mails and SMS received",
    "repeated_messages": "of them twice, with the same id",
    "kills": "kills",
    "seconds_to_recover": "seconds to recover",
    "peak_memory": "peak memory, MB",
    "seed": "seed",
    "note": "note",
}
"""What a test may record: name -> heading in the report."""

_ROW = re.compile(r"test_(?:row_(\d\d)|mutation)_")


class Recorder:
    """Called once by a test, when everything has been checked, with any of FIGURES."""

    def __init__(self, test: pytest.Item) -> None:
        self._test = test

    def __call__(self, **figures: Any) -> None:
        unknown = figures.keys() - FIGURES.keys()
        assert not unknown, f"there is no column for {unknown}"
        row = _ROW.match(self._test.name)
        assert row, f"{self._test.name} does not say its row"
        if file := os.environ.get(REPORT):
            line = {"row": int(row[1] or 0), "test": self._test.nodeid, "at": datetime.now(UTC).isoformat(), **figures}
            with Path(file).open("a", encoding="utf-8") as out:
                out.write(json.dumps({**line, "machine": machine()}) + "\n")


def machine() -> str:
    """Describe the machine in a few words."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    gigabytes = round(int(memory[1]) / 1e6) if memory else 0
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} × {name}, {gigabytes} GB, Linux {platform.release()}, Python {platform.python_version()}"


def megabytes(peak: int) -> float:
    return round(peak / 1e6, 1)


def counted(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return a tally in the order of its names."""
    return dict(sorted(numbers.items()))
