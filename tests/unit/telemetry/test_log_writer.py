"""Whoever logs never waits: a pipe that nobody reads, a terminal that is stopped, a disk that is full."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gateway.app.gauges import LostLines
from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.metrics import Metrics
from tests.servers.waiting import until

LINE = "x" * 999 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_is_written_comes_out_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LogWriter(write, lambda _: None)
    for number in range(50):
        writer.write(f"{number}\n")
    writer.drain(10)
    assert os.read(read, 10_000).decode().split() == [str(number) for number in range(50)]
    assert writer.dropped == 0


def test_a_pipe_that_nobody_reads_stops_nobody_and_what_is_lost_is_counted_and_told(pipe: tuple[int, int]) -> None:
    read, write = pipe
    told: list[int] = []
    writer = LogWriter(write, told.append, most_bytes=10_000)
    for _ in range(500):  # the pipe takes 64 kB, the queue ten lines
        writer.write(LINE)
    assert 400 < writer.dropped < 500
    lost = writer.dropped

    def look() -> bool:
        os.read(read, 100_000)
        writer.write("once more\n")
        return bool(told)

    until(look, 10, "the line that says how many were lost")
    assert told[0] >= lost


def test_an_end_does_not_wait_for_ever(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1], lambda _: None)
    for _ in range(100):
        writer.write(LINE)
    writer.drain(0.01)
    assert writer.dropped == 0  # they wait


def test_what_cannot_be_written_is_counted(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.close(read)
    writer = LogWriter(write, lambda _: None)
    writer.write(LINE)
    writer.drain(10)
    assert writer.dropped == 1


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.set_blocking(write, False)
    writer = LogWriter(write, lambda _: None)
    for _ in range(100):
        writer.write(LINE)
    found = 0
    while found < 100 * len(LINE):
        found += len(os.read(read, 100_000))
    assert writer.dropped == 0


PROGRAM = """
import logging, structlog
from gateway.cli import logs
logs.set_up(frozenset(["hidden"]))
for number in range(3000):
    structlog.get_logger().info("a line " + 900 * "x", number=number, word="hidden")
    logging.getLogger("library").warning("a library's line")
print("done")
"""


def test_a_program_goes_on_and_ends_though_nobody_reads_its_standard_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert process.stdout.read() == b"done\n"
        assert process.wait(timeout=30) == 0
        assert b"hidden" not in os.read(process.stderr.fileno(), 60_000)


async def test_lost_lines_are_an_alert_until_all_get_through_again() -> None:
    reports: list[str | None] = []
    dropped = iter([0] * 31 + [3, 5] + [5] * 40)

    async def report(subject: str, problem: str | None, _severity: str = "warning", /) -> None:
        assert subject == "log"
        reports.append(problem)

    metrics = Metrics()
    lines = LostLines(lambda: next(dropped), metrics, report)
    for _ in range(73):
        await lines.look()
    assert [problem and problem.split(" ")[0] for problem in reports] == [None, "3", "5", None]
    assert dict(metrics.values()[0][1])["log_lines_dropped_total"] == 5
