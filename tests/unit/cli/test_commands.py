"""Exit codes, `check`, `backup`, and errors that are one line."""

import asyncio
import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.api import DeliveryError
from gateway.cli.commands import asker
from gateway.domain.notification.model import Notification
from gateway.handlers.memory import MemoryHandler
from gateway.journal import Reader
from tests.readings import Plant, plant, reading
from tests.unit.cli.conftest import Run


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert asker() == f"uid {os.getuid()}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["events"],
        ["events", "count", "--nonsense"],
        ["events", "count", "--since", "yesterday"],
        ["events", "list", "--limit", "0"],
        ["alerts", "list", "-o", "xml"],
        ["alerts", "show"],
        ["deadletters", "show", "first"],
        ["deadletters", "list", "--reason", "unknown"],
        ["backup"],
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert "Usage:" in result.err
    assert "Traceback" not in result.err


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    assert all(name in result.out for name in ("run", "check", "events", "alerts", "deadletters", "backup", "demo"))
    assert run("--version").out.startswith("vibration-gateway ")


def test_what_cannot_be_done_is_1_and_one_line(run: Run, tmp_path: Path) -> None:
    result = run("events", "count")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"Error: there is no journal at {tmp_path}/state/journal.db; has the gateway run with this state_dir?\n"
    )


def test_a_configuration_that_cannot_be_used_is_3_whatever_was_asked(run: Run, config: Path) -> None:
    config.write_text("[gateway]\nid = 5\n")
    result = run("events", "count")
    assert (result.code, result.out) == (3, "")
    assert f"{config}: gateway.state_dir: is required" in result.err.splitlines()


def test_the_option_comes_before_the_environment(run: Run, tmp_path: Path) -> None:
    result = run("check", "-c", tmp_path / "other.toml")
    assert (result.code, result.err) == (3, f"{tmp_path}/other.toml: cannot be read: No such file or directory\n")


class TestCheck:
    def test_a_good_one_is_0_with_a_summary(self, run: Run, config: Path) -> None:
        result = run("check")
        assert result.code == 0
        assert result.out == (
            f"{config}: ok: 1 topic template(s), history in the journal, 0 handler(s), 0 route(s),"
            " without a live page\n"
        )
        assert result.err == f"{config}: warning: routes: there are none, so nobody is told of an alert\n"

    def test_every_problem_is_named_with_file_and_key(self, run: Run, config: Path) -> None:
        with config.open("a") as file:
            file.write(
                'hots = "x"\n[detection]\nlearning = "7 days"\non_readings = 0\n[[sensors]]\nid = "a"\n[[sensors]]\n'
                'id = "a"\n[[routes]]\nseverity = "severe"\nhandlers = ["m"]\n'
            )
        result = run("check")
        assert (result.code, result.out) == (3, "")
        keys = [line.removeprefix(f"{config}: ").split(":")[0] for line in result.err.splitlines()]
        assert keys == ["mqtt.hots", "detection.learning", "detection.on_readings", "sensors", "routes #1.severity"]

    def test_every_problem_of_the_handlers_is_named_too(self, run: Run, config: Path) -> None:
        with config.open("a") as file:
            file.write(
                '[handlers.mail]\ntype = "email"\nhots = "x"\n[handlers.pigeon]\ntype = "pigeon"\n'
                '[consumers.other]\ntype = "nonsense"\n'
            )
        result = run("check")
        assert result.code == 3
        lines = result.err.splitlines()
        for key in ("handlers.mail.hots", "handlers.mail.host", "handlers.pigeon.type"):
            assert [line for line in lines if line.startswith(f"{config}: {key}: ")], key
        assert [line for line in lines if line.startswith(f"{config}: consumers.other.type: ")]

    def test_nothing_is_made_and_no_secret_is_shown(
        self, run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAIL_PASSWORD", "hunter2hunter2")
        with config.open("a") as file:
            file.write('[handlers.h]\ntype = "${MAIL_PASSWORD}"\n[consumers.c]\ntype = "${MAIL_PASSWORD}"\n')
        result = run("check")
        assert result.code == 3
        assert "hunter2" not in result.out + result.err
        assert list(tmp_path.iterdir()) == [config]

    def test_what_is_probably_not_meant_is_a_warning(self, run: Run, config: Path) -> None:
        with config.open("a") as file:
            file.write('host = "broker"\nusername = "u"\npassword = "p"\n[handlers.lonely]\ntype = "log"\n')
        result = run("check")
        assert result.code == 0
        assert "handlers.lonely: no route leads to it" in result.err
        assert "mqtt.password: it is sent in the clear" in result.err
        assert "mqtt.password: stands in the file in the clear" in result.err

    def test_what_fits_nothing_and_what_cannot_be_where_it_is(self, run: Run, config: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        text = config.read_text().replace(f"{tmp_path}/state", f"{tmp_path}/file/state")
        text += '[[machines]]\nid = "pump-3"\n[[machines]]\nid = "pump-*"\n[[sensors]]\nid = "VB-*"\n'
        config.write_text(text + '[http]\npublic_url = "https://plant.example/vibration"\n')
        result = run("check")
        assert result.code == 0
        assert "machines.1.id: 'pump-*' is the id of one alone" in result.err
        assert "sensors.0.id: 'VB-*' is the id of one alone" in result.err
        assert "machines.0" not in result.err
        assert f"gateway.state_dir: whoever runs this command cannot write to {tmp_path}/file" in result.err
        assert "http.public_url: the page has to be at the root" in result.err

    def test_strictly_a_warning_is_a_problem(self, run: Run, config: Path) -> None:
        strictly = run("check", "--strict")
        assert (strictly.code, strictly.out, strictly.err) == (3, "", run("check").err)
        with config.open("a") as file:
            file.write('[handlers.me]\ntype = "log"\n[[routes]]\nseverity = "warning"\nhandlers = ["me"]\n')
        strictly = run("check", "--strict")
        assert (strictly.code, strictly.err) == (0, "")


class TestBackup:
    def test_it_says_what_it_has_copied(self, run: Run, here: Plant, tmp_path: Path) -> None:
        here.take(reading(0), reading(1))
        result = run("backup", tmp_path / "copy.db")
        assert result.code == 0
        assert result.out.startswith(f"{tmp_path}/copy.db: 2 readings, ")
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
        reader = Reader(tmp_path / "copy.db")
        assert reader.count_readings() == 2
        reader.close()

    def test_it_never_overwrites(self, run: Run, here: Plant, tmp_path: Path) -> None:
        here.take(reading(0))
        (tmp_path / "copy.db").write_text("precious")
        result = run("backup", tmp_path / "copy.db")
        assert (result.code, result.out) == (1, "")
        assert result.err == f"Error: {tmp_path}/copy.db exists already; a backup never overwrites\n"
        assert (tmp_path / "copy.db").read_text() == "precious"


class TestHandlers:
    def test_they_are_listed_with_what_leads_to_them(self, run: Run, config: Path) -> None:
        with config.open("a") as file:
            file.write('[handlers.a]\ntype = "log"\n[handlers.b]\ntype = "memory"\n')
            file.write('[[routes]]\nseverity = "critical"\nhandlers = ["a"]\n')
        table = run("handlers", "list").out.splitlines()
        assert [line.split() for line in table] == [
            ["handler", "type", "routes"],
            ["a", "log", "critical"],
            ["b", "memory", "none"],
        ]

    def test_a_test_message_says_what_the_other_side_said(self, run: Run, config: Path) -> None:
        with config.open("a") as file:
            file.write('[handlers.m]\ntype = "memory"\n')
        assert run("handlers", "test", "m").out == "m: sent: kept in memory\n"
        result = run("handlers", "test", "nobody")
        assert (result.code, result.err) == (1, "Error: there is no [handlers.nobody] (there are: m)\n")

    @pytest.mark.parametrize(
        ("raised", "said"),
        [
            (DeliveryError("no connection"), "m: not sent: no connection (the gateway would try again)"),
            (DeliveryError("no such room", retry=False), "m: not sent: no such room (the gateway would not try again)"),
            (RuntimeError("\x1b[31mred"), "m: not sent: RuntimeError: \\x1b[31mred"),
            (TimeoutError(), "m: not sent: no answer within 30 s"),
            (asyncio.CancelledError(), "m: not sent: CancelledError: "),
            (DeliveryError("with hunter2hunter2"), "m: not sent: with *** (the gateway would try again)"),
        ],
    )
    def test_a_test_message_that_is_not_taken_says_why_and_ends_with_1(
        self, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, said: str
    ) -> None:
        async def send(_handler: MemoryHandler, _notification: Notification) -> str:
            raise raised

        monkeypatch.setattr(MemoryHandler, "send", send)
        monkeypatch.setenv("SECRET", "hunter2hunter2")
        with config.open("a") as file:
            file.write('[handlers.m]\ntype = "memory"\n[handlers.l]\ntype = "log"\ntext = "${SECRET}"\n')
        result = run("handlers", "test", "m")
        assert (result.code, result.out, result.err) == (1, "", f"Error: {said}\n")

    def test_a_handler_that_returns_junk_is_named(
        self, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def send(_handler: MemoryHandler, _notification: Notification) -> object:
            return {"sent": True}

        monkeypatch.setattr(MemoryHandler, "send", send)
        with config.open("a") as file:
            file.write('[handlers.m]\ntype = "memory"\n')
        result = run("handlers", "test", "m")
        assert result.code == 1
        assert "returned dict instead of what was said" in result.err


@pytest.mark.parametrize("command", [["stats"], ["events", "list"], ["alerts", "list"], ["deadletters", "count"]])
def test_a_damaged_journal_is_one_line(run: Run, tmp_path: Path, command: list[str]) -> None:
    with plant(tmp_path / "state") as made:
        made.take(*(reading(second, 8.0) for second in range(3)))
    raw = bytearray(made.path.read_bytes())
    raw[4096:] = b"\xa5" * (len(raw) - 4096)
    made.path.write_bytes(raw)
    result = run(*command)
    assert result.code == 1
    assert result.err.startswith(
        f"Error: {made.path} cannot be read: database disk image is malformed; if it is damaged,"
    )
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("command", [["alerts", "list"], ["sensors", "list"]])
def test_a_damaged_row_is_one_line(run: Run, here: Plant, command: list[str]) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)))
    with closing(sqlite3.connect(here.path)) as db, db:
        db.execute("UPDATE alerts SET alert = '[]'")
        db.execute("UPDATE sensors SET tags = '[]'")
    result = run(*command)
    assert result.code == 1
    assert result.err.startswith(
        f"Error: {here.path} cannot be read: Expected `object`, got `array`; if it is damaged,"
    )
    assert result.err.count("\n") == 1


def test_what_the_system_refuses_is_one_line(run: Run, here: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(here.path))

    monkeypatch.setattr(Reader, "count_dead_letters", refuse)
    result = run("deadletters", "count")
    assert (result.code, result.out) == (1, "")
    assert result.err == f"Error: {here.path}: Permission denied; is it there, and may this user use it?\n"
