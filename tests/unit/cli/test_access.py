import hashlib
import io
from pathlib import Path

import pytest

from gateway.config import load
from gateway.security.passwords import verify
from tests.unit.cli.conftest import Run


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_somebody_is_added_with_a_hash_only(config: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    config.chmod(mode)
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert run("users", "add", "-c", str(config), "anna.o@plant", "--role", "operator").code == 0
    (user,) = load(config).users
    assert (user.name, user.role) == ("anna.o@plant", "operator")
    assert user.password is not None
    assert verify(user.password.get_secret_value(), "correct horse")
    assert "correct horse" not in config.read_text()
    assert config.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("password", ["short", "", "x" * 300])
def test_a_password_that_will_not_do_changes_nothing(
    config: Path, run: Run, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    before = config.read_text()
    monkeypatch.setattr("sys.stdin", io.StringIO(password))
    result = run("users", "add", "-c", str(config), "anna", "--role", "admin")
    assert (result.code, config.read_text()) == (1, before)
    assert "10 to 200 characters" in result.err


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\u202eb", "-", "a" * 101, ""])
def test_a_name_that_is_none_changes_nothing(config: Path, run: Run, name: str) -> None:
    before = config.read_text()
    result = run("users", "add", "-c", str(config), "--role", "admin", "--by-proxy", "--", name)
    assert result.code in {2, 3}
    assert config.read_text() == before
    assert [path.name for path in config.parent.iterdir() if path.name.startswith(".")] == []


def test_a_token_is_shown_once(config: Path, run: Run) -> None:
    result = run("tokens", "create", "-c", str(config), "cmms", "--role", "operator", "--for", "90d")
    assert result.code == 0
    (token,) = load(config).tokens
    text = result.out.strip()
    assert token.sha256.get_secret_value() == hashlib.sha256(text.encode()).hexdigest()
    assert text not in config.read_text() + repr(token)
    again = run("tokens", "create", "-c", str(config), "cmms", "--role", "viewer")
    assert again.code == 3
    assert "more than one table with the name 'cmms'" in again.err
    assert len(load(config).tokens) == 1
