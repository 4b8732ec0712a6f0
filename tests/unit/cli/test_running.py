"""A reload: what cannot be started with changes nothing."""

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from structlog.testing import capture_logs

from gateway.app import run as app
from gateway.cli import cli, logs
from gateway.cli import run as running
from gateway.config import Config, load
from gateway.errors import GatewayError
from gateway.journal import Journal
from gateway.plugins.registry import Plugins
from tests.readings import Plant, reading
from tests.servers.waiting import until_async
from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("problem", [GatewayError("port 80 is taken"), OSError("no such file"), KeyError("url")])
def test_whatever_a_start_after_a_reload_fails_with_the_old_configuration_is_back(
    config: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    old_text, started = config.read_text(), []

    async def run(loaded: Config, ready: Callable[[str | None], None], _plugins: Plugins, _level: str) -> None:
        started.append(loaded.mqtt.port)
        if loaded.mqtt.port != 1883:
            raise problem
        ready(None)
        await here[len(started) > 1].wait_until_told()

    here = {False: Told(signal.SIGHUP), True: Told(signal.SIGTERM)}
    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    loaded = load(config)
    config.write_text(old_text + "port = 1884\n")
    with capture_logs() as said:
        asyncio.run(running.run_and_reload(config, loaded, Plugins({}, {}), "info"))
    assert started == [1883, 1884, 1883]
    (line,) = (line for line in said if line["log_level"] == "error")
    assert line["event"] == "the new configuration cannot be used; the old one comes back"
    assert line["error"] == str(problem)


def test_a_reload_never_begins_a_journal_anew(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def run(loaded: Config, ready: Callable[[str | None], None], _plugins: Plugins, _level: str) -> None:
        started.append(loaded.gateway.state_dir.name)
        ready(None)
        os.kill(os.getpid(), signal.SIGHUP)
        await until_async(lambda: any(line["log_level"] == "error" for line in said), 10, "the reload to be refused")
        await Told(signal.SIGTERM).wait_until_told()

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    loaded = load(config)
    config.write_text(config.read_text().replace("/state", "/elsewhere"))
    with capture_logs() as said:
        asyncio.run(running.run_and_reload(config, loaded, Plugins({}, {}), "info"))
    assert started == ["state"]
    (line,) = (line for line in said if line["log_level"] == "error")
    assert line["event"].startswith("gateway.state_dir is another one; the old configuration stays")


def test_a_reload_leaves_nothing_of_the_old_one_behind(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the collector has been told to spare what stays."""
    left: list[weakref.ref[Told]] = []
    spare, spared = running.spare_what_stays, asyncio.Event()

    def say_so() -> None:
        spare()
        spared.set()

    async def run(_config: Config, ready: Callable[[str | None], None], _plugins: Plugins, _level: str) -> None:
        before = [reference() for reference in left]
        left.append(weakref.ref(here := Told(signal.SIGTERM if before else signal.SIGHUP)))
        here.others.append(here)  # only the collector can end that
        spared.clear()
        ready(None)
        await asyncio.wait_for(spared.wait(), 10)
        assert before in ([], [None])
        await here.wait_until_told()

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    monkeypatch.setattr(running, "SETTLING", 0.0)
    monkeypatch.setattr(running, "spare_what_stays", say_so)
    try:
        asyncio.run(running.run_and_reload(config, load(config), Plugins({}, {}), "info"))
        assert len(left) == 2
    finally:
        gc.unfreeze()


def test_a_start_that_fails_after_a_reload_leaves_nothing_behind(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails with all its sensors there, as with a port that is taken; the old one then runs for months."""
    left: list[weakref.ref[Told]] = []

    async def run(_config: Config, ready: Callable[[str | None], None], _plugins: Plugins, _level: str) -> None:
        here = Told(signal.SIGTERM if left else signal.SIGHUP)
        here.others.append(here)  # only the collector can end that
        left.append(weakref.ref(here))
        if len(left) == 2:
            raise GatewayError("port 80 is taken")
        assert [reference() for reference in left[:-1]] == [None] * (len(left) - 1)
        ready(None)
        await here.wait_until_told()

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    asyncio.run(running.run_and_reload(config, load(config), Plugins({}, {}), "info"))
    assert len(left) == 3


def test_who_is_to_reload_while_it_starts_does_so_once_it_can() -> None:
    async def listen() -> int | None:
        return await running.Signals().next_or(asyncio.get_running_loop().create_future())

    cli.get_command(click.Context(cli), "run")
    try:
        assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, [])  # else the next line ends the tests
        signal.raise_signal(signal.SIGHUP)
        assert asyncio.run(listen()) == signal.SIGHUP
        assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


class Told:
    """Sends this process a signal, then waits to be cancelled."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.others: list[object] = []

    async def wait_until_told(self) -> None:
        os.kill(os.getpid(), self._number)
        await asyncio.Event().wait()


class TestInit:
    def test_a_journal_that_belongs_here_is_never_touched(self, run: Run, here: Plant) -> None:
        here.take(reading())
        here.journal.close()
        before = here.path.read_bytes()
        result = run("init")
        assert (result.code, "is a journal already" in result.err) == (1, True)
        assert here.path.read_bytes() == before
        here.journal = Journal(here.path)

    def test_one_that_is_gone_is_replaced_by_a_new_one(self, run: Run, here: Plant) -> None:
        here.take(reading())
        here.journal.close()
        here.path.unlink()
        assert "it had 1 entries: put it back" in run("baselines", "relearn", "VB-1").err
        assert run("init").code == 0
        here.journal = Journal(here.path)
        assert (here.journal.missing, here.journal.note("subscriptions"), here.journal.next_seq) == (None, "[]", 2)

    def test_a_folder_that_was_never_one_is_prepared(self, run: Run, tmp_path: Path) -> None:
        assert run("init").code == 0
        assert (tmp_path / "state" / "journal.db").is_file()
