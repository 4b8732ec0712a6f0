"""What a configuration leaves open, found without connecting to anything."""

from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import ConfigError
from gateway.security.exposure import exposures
from tests.servers.certificates import issue

LEAST = '[gateway]\nid = "edge-1"\nstate_dir = "state"\n[mqtt]\ntopics = ["v/{sensor}"]\n'
STRONG = "qK3v9ZbXr5tYw8LmNc2HjEf0"


def found(folder: Path, more: str = "", mode: int = 0o600) -> list[str]:
    file = folder / "gateway.toml"
    file.write_text(LEAST + more)
    file.chmod(mode)
    return exposures(file, load(file, {"STRONG": STRONG}))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_a_configuration_without_secrets_may_be_read_by_everybody(tmp_path: Path, mode: int) -> None:
    assert found(tmp_path, mode=mode) == []


@pytest.mark.parametrize("mode", [0o666, 0o660, 0o622, 0o602])
def test_nobody_else_may_change_it(tmp_path: Path, mode: int) -> None:
    (said,) = found(tmp_path, mode=mode)
    assert "others than its owner may change it" in said
    assert f"(mode {mode:04o})" in said


def test_a_secret_in_the_file_is_named_and_the_file_with_it_if_everybody_reads_it(tmp_path: Path) -> None:
    more = (
        f'username = "u"\npassword = "hunter2"\n[http]\ntoken = "{STRONG}"\n'
        '[handlers.w]\ntype = "webhook"\nurl = "https://e.example"\nsecret = "${STRONG}"\n'
        'headers = { Authorization = "Bearer hunter2" }\n[handlers.a]\ntype = "apprise"\nurls = ["json://u:hunter2@h"]\n'
    )
    said = found(tmp_path, more)
    keys = [line.partition(":")[0] for line in said]
    assert keys == ["mqtt.password", "http.token", "handlers.w.headers.Authorization", "handlers.a.urls.0"]
    assert all("stands in the file in the clear" in line for line in said)
    assert "hunter2" not in str(said)
    assert any(line.startswith(f"{tmp_path}/gateway.toml itself: every") for line in found(tmp_path, more, mode=0o644))


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o660, True)])
def test_files_of_secrets_and_keys_are_for_few(tmp_path: Path, mode: int, *, is_open: bool) -> None:
    files = issue(tmp_path / "tls")
    secret = tmp_path / "password"
    secret.write_text(STRONG)
    (tmp_path / "state").mkdir()
    mine = [tmp_path / "state" / name for name in ("http-token", "link-key")]
    for file in mine:
        file.write_text(STRONG)
    for file in (secret, files.client_key, *mine):
        file.chmod(mode)
    more = (
        f'username = "u"\npassword = "${{FILE:{secret}}}"\n'
        f'tls = {{ cert = "{files.client_cert}", key = "{files.client_key}" }}\n'
    )
    said = found(tmp_path, more)
    named = [("mqtt.password", secret), ("mqtt.tls.key", files.client_key), *(("gateway.state_dir", f) for f in mine)]
    assert [line.split(": ")[:2] for line in said] == ([[key, str(file)] for key, file in named] if is_open else [])


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("abababababababababababab", "easily guessed"),
        ("my-secret-is-very-long-indeed", "easily guessed"),
        ("qK3v9ZbXr5tYw8", "is shorter than 22 characters"),
        (STRONG, ""),
    ],
)
def test_a_token_that_may_be_guessed_is_named(tmp_path: Path, token: str, said: str) -> None:
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    lines = found(tmp_path, f'[http]\ntoken = "${{FILE:{tmp_path}/token}}"\n')
    assert [line.partition(";")[0].endswith(said) or said in line for line in lines] == ([True] if said else [])


@pytest.mark.parametrize("token", ["x", "1234567"])
def test_a_token_of_a_few_letters_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.token: a token that lets people in has at least 8 characters"):
        found(tmp_path, f'[http]\ntoken = "{token}"\n')


@pytest.mark.parametrize(
    ("http", "keys"),
    [
        ("", []),
        ('host = "::1"\npublic_url = "http://localhost:8080"', []),
        ('host = "0.0.0.0"', ["http.host"]),
        ('host = "0.0.0.0"\nread = "open"', ["http.host", "http.read"]),
        ('host = "0.0.0.0"\nproxies = ["10.0.0.5"]', []),
        ('host = "192.0.2.7"\npublic_url = "https://plant.example.com"', []),
        ('public_url = "http://plant.example.com"', ["http.public_url"]),
    ],
)
def test_a_page_that_others_reach_in_the_clear_is_named(tmp_path: Path, http: str, keys: list[str]) -> None:
    assert [line.partition(":")[0] for line in found(tmp_path, f"[http]\n{http}\n")] == keys
