"""Turns the figures of a run into docs/reliability.md: `python -m tests.faults.report FILE [TARGET]`.

The last soak's are added, if there was one.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.faults.results import FIGURES
from tests.faults.rows import ROOT, TITLES, tests_of_rows

TARGET = ROOT / "docs/reliability.md"
SOAK = ROOT / ".soak.json"
SUITE = 0  # the row of the tests of the suite itself

Line = dict[str, Any]

HEAD = """# Reliability

What was done to the gateway, and what became of its readings and alerts. Everything is a test against the running
program and real servers; a figure is what a test counted, and a test has failed if anything acknowledged was missing
or anything was there twice. Repeat it all with `make faults`. The command for a single test is below its figures, or
where it is named as a proof; it needs `make dev servers` before, once.

Measured {dates}, on {machine}.
"""


def load(file: Path) -> list[Line]:
    """Return the last line of each test."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if not lines:
        sys.exit(f"{file}: no results")
    return list({line["test"]: line for line in lines}.values())


def render(lines: list[Line], soak: Line | None = None) -> str:
    """Return the document; `soak` is a report of the soak."""
    dates = sorted({line["at"][:10] for line in lines})
    text = HEAD.format(
        dates=dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        machine="; ".join(sorted({line["machine"] for line in lines})),
    )
    by_row = defaultdict(list)
    for line in sorted(lines, key=lambda line: str(line["test"])):
        by_row[line["row"]].append(line)
    proofs = tests_of_rows()
    parts = [_section(row, title, by_row[row], proofs.get(row, [])) for row, title in TITLES.items()]
    return "\n".join([text, *parts, *([_soak(soak)] if soak else []), _suite(by_row[SUITE])])


def _section(row: int, title: str, lines: list[Line], proofs: list[str]) -> str:
    measured = {str(line["test"]).partition("[")[0] for line in lines}
    others = [test for test in proofs if test not in measured]
    return "\n".join(
        [f"## {row}. {title}", "", *_table(lines), *(["Proven by:", "", *_commands(others)] if others else [])]
    )


def _soak(report: Line) -> str:
    what = (
        f"{report['minutes']:g} minutes at {report['rate']:g} readings a second with faults drawn from the seed "
        f"{report['seed']}. In the first third the gateway is killed, too; after that one process lives through "
        "everything, and in the second half of the time its memory (MB; by the line of least squares through a sample "
        "a second) and its open files (in its first and last tenth) are watched. Repeat it with `make soak`."
    )
    figures = {name: value for name, value in report.items() if name not in {"minutes", "rate", "seed", "problems"}}
    rows = [_row([name.replace("_", " "), _cell(value)]) for name, value in figures.items()]
    return "\n".join(
        ["## Load for long with random faults", "", what, "", _row(["figure", "value"]), "| --- | --- |", *rows, ""]
    )


def _suite(lines: list[Line]) -> str:
    title = "## The suite itself fails when it should"
    return "\n".join(
        [title, "", "Defects that were put into the running gateway, and which tests failed:", "", *_table(lines)]
    )


def _table(lines: list[Line]) -> list[str]:
    """Return a table with those columns that any line has a figure for, and the commands."""
    if not lines:
        return []
    names = [name for name in FIGURES if any(line.get(name) not in (None, "") for line in lines)]
    heading = ["test", *(FIGURES[name] for name in names)]
    rows = [[str(line["test"]).rpartition("::")[2], *(_cell(line.get(name)) for name in names)] for line in lines]
    table = [_row(heading), _row(["---"] * len(heading)), *map(_row, rows)]
    return [*table, "", *_commands([str(line["test"]) for line in lines])]


def _commands(tests: list[str]) -> list[str]:
    return ["```sh", *(f".venv/bin/python -m pytest -m '' '{test}'" for test in tests), "```", ""]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = "" if value is None else f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
    return text.replace("|", "\\|")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the document."""
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else TARGET
    soak = json.loads(SOAK.read_text(encoding="utf-8")) if SOAK.exists() else None
    target.write_text(render(load(Path(sys.argv[1])), soak).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
