import json
import shutil
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.journal import FILE_NAME, Journal, newest_version
from gateway.journal.sqlite.connection import migrations, open_for_writing

OLD = 8


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    mqtt = '[mqtt]\nhost = "localhost"\ntopics = ["v/{sensor}/reading"]\n'
    path.write_text(f'[gateway]\nid = "edge-1"\nstate_dir = "{tmp_path}"\n{mqtt}')
    return path


def ask(configuration: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["upgrade", "--check", "-c", str(configuration), *options])


def old_journal(folder: Path) -> Path:
    path = folder / FILE_NAME
    with closing(open_for_writing(path, migrations()[:OLD])) as connection:
        connection.execute("INSERT INTO notes (name, value) VALUES ('from', 'before')")
    return path


def test_an_older_journal_is_told_what_becomes_of_it_and_is_not_touched(configuration: Path, tmp_path: Path) -> None:
    path = old_journal(tmp_path)
    before = path.read_bytes()
    said = ask(configuration)
    assert said.exit_code == 0, said.output
    assert f"schema {OLD}, becomes schema {newest_version()}: names" in said.output
    assert f"{path}.version-{OLD}" in said.output
    assert path.read_bytes() == before


def test_the_way_back_is_the_one_that_is_told(configuration: Path, tmp_path: Path) -> None:
    path = old_journal(tmp_path)
    found = json.loads(ask(configuration, "-o", "json").output)["journal"]
    Journal(path).close()  # the new program's first start
    assert json.loads(ask(configuration, "-o", "json").output)["journal"]["changes"] == []

    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        if (tmp_path / name).exists():
            shutil.move(tmp_path / name, tmp_path / f"moved-{name}")
    (tmp_path / found["copy"]).rename(path)
    with closing(open_for_writing(path, migrations()[:OLD])) as as_the_old_program:
        assert as_the_old_program.execute("SELECT value FROM notes WHERE name = 'from'").fetchone() == ("before",)


def test_a_journal_of_a_newer_program_is_refused_in_advance(configuration: Path, tmp_path: Path) -> None:
    newer = [*migrations(), "CREATE TABLE of_tomorrow (x);"]
    open_for_writing(tmp_path / FILE_NAME, newer).close()
    said = ask(configuration)
    assert said.exit_code == 1
    assert "a newer program made it" in said.output


def test_a_disk_without_room_for_the_copy_is_told_in_advance(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_journal(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    said = ask(configuration)
    assert said.exit_code == 1
    assert "the copy that is kept needs" in said.output


def test_without_a_journal_and_with_a_wrong_configuration(configuration: Path) -> None:
    assert "there is no journal yet" in ask(configuration).output
    configuration.write_text("[gateway]\nid = 5\n")
    assert "gateway.id" in str(ask(configuration).exception)
