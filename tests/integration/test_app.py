"""What a start leaves behind that fails."""

import socket
from pathlib import Path

import pytest

from gateway import app
from gateway.config import load
from gateway.errors import JournalUnavailableError
from gateway.journal import Outbox
from tests.programs import to_toml
from tests.servers.ports import HOST, free_port


async def test_a_start_that_fails_gives_the_port_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> int:
        raise JournalUnavailableError("the journal cannot be written: database or disk is full")

    monkeypatch.setattr(Outbox, "take_up", fail)
    port = free_port()
    path = tmp_path / "gateway.toml"
    tables = {
        "gateway": {"id": "edge-1", "state_dir": str(tmp_path / "state")},
        "mqtt": {"topics": ["vibration/{sensor}/reading"]},
        "http": {"host": HOST, "port": port},
    }
    path.write_text(to_toml(tables))
    with pytest.raises(JournalUnavailableError) as caught:
        await app.run(load(path, {}))
    with socket.create_server((HOST, port)):  # while the error, and with it everything it passed, is still held
        assert caught.value.retry
