"""However the demo is ended, nothing is left of it: no broker, no simulator, no folder."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.programs import program
from tests.servers.ports import HOST, free_port
from tests.servers.processes import find_program
from tests.servers.waiting import until

STARTING, ENDING = 30.0, 20.0  # seconds
_HEARING_SIGHUP = ["env", "--default-signal=HUP"]
"""Who runs the tests under nohup, or from a service, has it ignored, and a child inherits that."""


class Demo:
    """`vibration-gateway demo` as a process of its own, with its folder in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.log = folder.with_suffix(".log")
        environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
        path = os.pathsep.join([environment["PATH"], str(Path(find_program("mosquitto")).parent)])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_HEARING_SIGHUP, program("vibration-gateway"), "demo", "--port", str(self.port)],
                env=environment | {"TMPDIR": str(folder), "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: self.serves() and len(self._now()) == 2, STARTING, "the demo to run")
        self.children = self._now()

    def serves(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False

    def _now(self) -> list[int]:
        """Return its children: the broker first, then the simulator."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def remains(self) -> list[object]:
        """Return what is still there: processes that live, and files."""
        return [pid for pid in self.children if _lives(pid)] + list(self.folder.iterdir())

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def clear_up(self) -> None:
        self.process.kill()
        self.process.wait()
        for pid in filter(_lives, self.children):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    folder = tmp_path / "demo"
    folder.mkdir()
    tmp_path.chmod(0o755)
    running = Demo(folder)
    yield running
    running.clear_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_and_a_closed_terminal_end_it(demo: Demo, number: signal.Signals) -> None:
    demo.end(number)
    assert demo.process.wait(ENDING) == 0, demo.log.read_text()
    assert demo.remains() == []
    assert "nothing is left of it" in demo.log.read_text()


@pytest.mark.parametrize("frozen", [0, 1], ids=["broker", "simulator"])
def test_a_second_signal_leaves_nothing_either(demo: Demo, frozen: int) -> None:
    os.kill(demo.children[frozen], signal.SIGSTOP)
    demo.end(signal.SIGTERM)
    until(lambda: not demo.serves(), ENDING, "the demo to be stopping")
    demo.end(signal.SIGINT)
    demo.process.wait(ENDING)
    assert demo.remains() == []
