"""The write-ahead log in bounds, whoever reads."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.config import RetentionSection
from gateway.journal import Upkeep
from gateway.journal.maintenance import log_size, retention
from tests.readings import plant, reading

LONG = 100_000
READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM readings").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


def reading_process(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that reads for as long as its standard input is open."""
    process = subprocess.Popen([sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"reading\n"
    return process


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (log_size, retention):
        monkeypatch.setattr(module, "LONGEST", LONG)


async def test_a_long_reader_is_named_and_the_log_is_folded_once_it_ends(tmp_path: Path) -> None:
    said: list[str | None] = []

    async def report(_subject: str, problem: str | None, _severity: str = "warning", /) -> None:
        said.append(problem)

    with plant(tmp_path) as here:
        here.take(reading(0))
        nothing = cast("Any", None)
        upkeep = Upkeep(here.journal, nothing, tmp_path, RetentionSection(), nothing)
        reader = reading_process(here.path)
        for second in range(1, 50):
            here.take(reading(second))
        await upkeep.check_log(report)
        reader.communicate()
        await upkeep.check_log(report)
        assert log_size.log_bytes(here.path) == 0
    assert said[0] is not None
    assert f"process {reader.pid} (python" in said[0]
    assert said[1] is None


async def test_what_only_the_log_takes_up_costs_no_reading(tmp_path: Path) -> None:
    async def report(*_: object) -> None:
        pass

    with plant(tmp_path) as here:
        for second in range(200):
            here.take(reading(second))
        assert here.journal.used_bytes() + log_size.log_bytes(here.path) > 1_000_000
        nothing = cast("Any", None)
        section = RetentionSection.model_validate({"max_size": 1_000_000})
        upkeep = Upkeep(here.journal, nothing, tmp_path, section, nothing)
        await upkeep.limit_size([], report)
        assert log_size.log_bytes(here.path) == 0
        assert len(here.contents()["readings"]) == 200
