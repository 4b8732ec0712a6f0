import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.servers.waiting import until

LOG_TAIL = 2000  # characters


class ServerMissingError(Exception):
    """A server program is not installed."""


def find_program(name: str) -> str:
    """Return the path of a program; Debian keeps servers in folders that are not on every user's PATH."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=folders)
    if found is None:
        raise ServerMissingError(f"{name} is not installed: run `make servers`")
    return found


class Process:
    """A child process in a process group of its own, which dies with the thread that started it.

    Start it from a thread that lives as long as it should (the kernel's rule for PR_SET_PDEATHSIG).
    """

    def __init__(self, command: Sequence[str | Path], *, log: Path) -> None:
        self._command = [find_program("setpriv"), "--pdeathsig", "KILL", "--", *map(str, command)]
        self._name = Path(command[0]).name
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self._name} is not running"
        return self._child.pid

    def start(self, ready: Callable[[], bool], timeout: float = 20) -> None:
        """Start the program and wait until it is ready; on failure nothing is left running."""
        assert not self.running, f"{self._name} is running already"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            until(lambda: not self.running or ready(), timeout, f"{self._name} to be ready")
            assert self.running, f"{self._name} ended with exit code {self._child.returncode}"
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; its log ends:\n{self.log_tail()}") from None
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 10) -> int | None:
        """Ask it to end (SIGTERM), as a service manager does; fail if it does not within `timeout` seconds.

        Return its exit code, or None if it was not started.
        """
        if self._child is None:
            return None
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self._name} ignored SIGTERM; its log ends:\n{self.log_tail()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and its children without warning (SIGKILL), as a crash does."""
        if self._child is not None:
            self._signal(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its sockets stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # the whole group has ended by itself
            os.killpg(self.pid, number)
