"""What a benchmark found: figures with their goals, and the machine they were found on."""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

from rich.table import Table

from bench.plant import CONSOLE

FSYNCS = 200
BLOCK = b"\0" * 4096


@dataclass(frozen=True)
class Figure:
    """One measured value; `goal` is what it is compared with, `met` whether it reaches it (None: nothing to reach).

    A `value` of None is something that did not happen.
    """

    name: str
    value: float | None
    unit: str
    goal: str = ""
    met: bool | None = None
    note: str = ""


def at_most(name: str, value: float, limit: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, f"≤ {limit:g}", value <= limit, note)


def at_least(name: str, value: float, limit: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, f"≥ {limit:g}", value >= limit, note)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which `percent` of at least two values lie."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def machine(folder: Path) -> dict[str, str]:
    """Describe what the figures depend on; `folder` is on the disk that is written to."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    syncs = _sync_milliseconds(folder / "fsync")
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "fsync of 4 kB": f"p50 {percentile(syncs, 50):.2f} ms, p99 {percentile(syncs, 99):.2f} ms",
    }


def _sync_milliseconds(file: Path) -> list[float]:
    """Append a block and wait for the disk, again and again, as a journal does."""
    found = []
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(FSYNCS):
            os.write(descriptor, BLOCK)
            began = time.perf_counter()
            os.fsync(descriptor)
            found.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(descriptor)
        file.unlink()
    return found


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print figures as a table."""
    table = Table("figure", "value", "unit", "goal", "", "note", title=title, title_justify="left")
    table.columns[1].justify = "right"
    for figure in figures:
        mark = {True: "[green]met", False: "[red]missed", None: ""}[figure.met]
        value = "-" if figure.value is None else f"{figure.value:,.6g}"
        table.add_row(figure.name, value, figure.unit, figure.goal, mark, figure.note)
    CONSOLE.print(table)


def save(file: Path, where: dict[str, str], figures: Iterable[Figure]) -> None:
    """Write figures and machine as JSON."""
    found = {"machine": where, "figures": [asdict(figure) for figure in figures]}
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def save_part(file: Path, name: str, where: dict[str, str], figures: Iterable[Figure]) -> None:
    """Write the figures of one part, with the machine they were found on, beside those of the others."""
    parts = json.loads(file.read_text()) if file.exists() else {}
    parts[name] = {"machine": where, "figures": [asdict(figure) for figure in figures]}
    file.write_text(json.dumps(parts, indent=2, ensure_ascii=False) + "\n")


def known_parts(file: Path) -> set[str]:
    """Return the names of the parts in a file of results."""
    return set(json.loads(file.read_text())) if file.exists() else set()
