import os
from pathlib import Path

from gateway.telemetry.wear import Wear, wear_of, written_bytes


def test_what_is_written_to_the_disk_is_counted(tmp_path: Path) -> None:
    before = written_bytes()
    assert before is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        os.fsync(file.fileno())
    assert (written_bytes() or 0) >= before


def test_the_gateway_that_holds_the_lock_is_asked(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"{os.getpid()}\n")
    wear = wear_of(lock)
    assert wear is not None
    assert wear.seconds >= 1


def test_nobody_knows_without_a_gateway(tmp_path: Path) -> None:
    assert wear_of(tmp_path / "lock") is None
    (tmp_path / "lock").write_text("")
    assert wear_of(tmp_path / "lock") is None
    (tmp_path / "lock").write_text("99999999\n")
    assert wear_of(tmp_path / "lock") is None
    assert written_bytes(99999999) is None


def test_a_day_of_it() -> None:
    assert Wear(written=3600, seconds=3600).a_day == 86400
