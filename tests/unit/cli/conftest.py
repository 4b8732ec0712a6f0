from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.cli import logs, main
from tests.readings import Plant, plant

CONFIG = """
[gateway]
id = "edge-1"
state_dir = "{state_dir}"
[mqtt]
topics = ["vibration/{{site}}/{{area}}/{{machine}}/{{sensor}}/reading"]
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path / "state") as made:
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(state_dir=tmp_path / "state"))
    return path


@pytest.fixture
def run(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as the console script does, with the test's configuration.

    Logs are kept out: set up for one command's error stream, they would outlive it.
    """
    monkeypatch.setenv("VIBRATION_GATEWAY_CONFIG", str(config))
    monkeypatch.setattr(logs, "set_up", lambda *_: None)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr("sys.argv", ["vibration-gateway", *map(str, arguments)])
        with capture_logs(), pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        return Result(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run
