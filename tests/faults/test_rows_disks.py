"""Rows 39 to 42: a journal that is gone, cut short or not readable for a while, and a log that nobody reads."""

import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, series
from tests.faults.results import Recorder
from tests.programs import program
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import find_program
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

READINGS = 500
NOISY = 100
SEEDS = 40


def reasons(gateway: MortalGateway) -> str:
    return "; ".join(gateway.get("/-/ready")["reasons"])


def filled(gateway: MortalGateway, broker: Mosquitto) -> None:
    """Start a gateway and let it take readings."""
    gateway.start()
    broker.publish_all(series("S-1", [BASELINE] * READINGS))
    until(lambda: gateway.readings() == READINGS, 20, "the readings")


@pytest.mark.parametrize("kept", ["mark", "nothing"])
def test_row_39_a_journal_that_is_gone(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, kept: str
) -> None:
    """Row 39: nothing is acknowledged into a new journal, people are told, and the old one gets all that came."""
    gateway = make(smtp=smtp)
    filled(gateway, mosquitto)
    gateway.stop()
    away = gateway.state_dir.with_name("away")
    gateway.state_dir.rename(away)
    gateway.state_dir.mkdir()
    if kept == "mark":
        (away / "journal.db.mark").rename(gateway.state_dir / "journal.db.mark")
    mosquitto.publish_all(series("S-2", [BASELINE] * READINGS))
    for _ in range(2):
        gateway.start(ready=False)
        until(lambda: "nothing is stored or acknowledged" in reasons(gateway), 20, "its not being ready")
        until(lambda: gateway.ask("alerts", "list"), 20, "the alert")
        (alert,) = gateway.ask("alerts", "list")
        assert (alert["sensorId"], alert["severity"]) == ("journal file", "critical")
        assert gateway.readings() == 0
        until(lambda: any("journal" in each.message["Subject"] for each in smtp.messages), 20, "the mail")
        gateway.stop()
    if kept == "mark":
        (gateway.state_dir / "journal.db.mark").replace(away / "journal.db.mark")
    shutil.rmtree(gateway.state_dir)
    away.rename(gateway.state_dir)
    gateway.start()
    until(lambda: gateway.readings() == 2 * READINGS, 20, "what the broker has kept")
    assert gateway.ask("alerts", "list") == []
    record(sent=2 * READINGS, stored=gateway.readings(), note=f"two starts without the journal; left: {kept}")


def test_row_39_a_folder_that_is_moved_in_use(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 39: the process goes on and says so; back in its place, everything comes in."""
    gateway = make()
    filled(gateway, mosquitto)
    away = gateway.state_dir.with_name("away")
    gateway.state_dir.rename(away)
    mosquitto.publish_all(series("S-2", [BASELINE] * READINGS))
    until(lambda: "deleted or replaced" in reasons(gateway), 10, "its not being ready")
    away.rename(gateway.state_dir)
    until(lambda: gateway.readings() == 2 * READINGS, 20, "what the broker has kept")
    assert gateway.running
    record(sent=2 * READINGS, stored=gateway.readings())


def test_row_39_a_new_journal_on_purpose(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 39: `init` begins a new one, which takes what the broker has kept."""
    gateway = make()
    filled(gateway, mosquitto)
    gateway.stop()
    shutil.rmtree(gateway.state_dir)
    mosquitto.publish_all(series("S-2", [BASELINE] * READINGS))
    gateway.command("init")
    gateway.start()
    until(lambda: gateway.readings() == READINGS, 20, "what the broker has kept")
    record(sent=2 * READINGS, stored=gateway.readings(), note="the first half was in the journal that is gone")


def test_row_40_a_damaged_log(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 40: of flipped bits and truncations in the write-ahead log every one is told, with what is lost."""
    gateway = make()
    filled(gateway, mosquitto)
    gateway.kill()
    kept = [gateway.state_dir.with_name(f"kept-{seed}") for seed in range(SEEDS)]
    for seed, folder in enumerate(kept):
        shutil.copytree(gateway.state_dir, folder)
        damage(folder / "journal.db-wal", seed)
    said = opened(kept)
    told = [line for line in said if "lacks its newest" in line or "log of the journal was damaged" in line]
    assert (len(said), len(told)) == (SEEDS, SEEDS), said
    record(note=f"{len(told)} of {SEEDS} damaged logs told")


def damage(log: Path, seed: int) -> None:
    """Flip a bit of a log, or cut it, somewhere."""
    chance, content = random.Random(seed), bytearray(log.read_bytes())
    where = chance.randrange(len(content))
    if seed % 2:
        del content[where:]
    else:
        content[where] ^= 1 << chance.randrange(8)
    log.write_bytes(content)


OPEN = """
import sys
from pathlib import Path
from gateway.journal import Journal
for folder in sys.argv[1:]:
    print("said:", Journal(Path(folder) / "journal.db").salvaged)
"""


def opened(folders: list[Path]) -> list[str]:
    """Open journals as a start does, in a process of its own; return what each says to be lost."""
    done = subprocess.run([sys.executable, "-c", OPEN, *folders], stdout=subprocess.PIPE, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("said:")]  # the others are of the log


def test_row_41_a_disk_that_does_not_read(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 41: while reads of the journal fail nothing ends; once they do not, everything is there, once."""
    gateway = make()
    filled(gateway, mosquitto)
    trace = gateway.log.with_name("strace")
    files = [word for suffix in ("", "-wal") for word in ("-P", f"{gateway.state_dir}/journal.db{suffix}")]
    fail = ["-e", "trace=pread64", "-e", "inject=pread64:error=EIO", "-o", str(trace)]
    tracer = subprocess.Popen([find_program("strace"), "-f", "-p", str(gateway.pid), *files, *fail])
    try:
        until(lambda: trace.exists() and gateway_reads(gateway, trace), 20, "a read that fails")
        mosquitto.publish_all(series("S-2", [BASELINE] * READINGS))
        mosquitto.publish_all(series("S-1", [BASELINE] * READINGS))  # known already: each has to be looked up
        until(lambda: "INJECTED" in trace.read_text(), 20, "a read that fails")
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    until(lambda: gateway.readings() == 2 * READINGS, 30, "the readings")
    assert gateway.running
    assert gateway.integrity() == ["ok"]
    assert not list(gateway.state_dir.glob("*.damaged-*"))
    until(lambda: gateway.answers("/-/ready"), 20, "its being ready")
    record(sent=3 * READINGS, stored=gateway.readings(), note="EIO for each read of the journal, by strace")


def gateway_reads(gateway: MortalGateway, trace: Path) -> bool:
    """Have the journal read; tell whether a read has failed."""
    gateway.answers("/api/v1/alerts")
    return "INJECTED" in trace.read_text()


def test_row_42_a_log_that_nobody_reads(make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder) -> None:
    """Row 42: with a full pipe behind its standard error the gateway stores, tells, and ends in order."""
    gateway = make(smtp=smtp)
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    process = subprocess.Popen([program("vibration-gateway"), "run", "-c", gateway.config], stderr=write)
    try:
        until(lambda: gateway.answers("/-/ready"), 20, "its being ready")
        for number in range(NOISY):
            mosquitto.publish_all(series(f"S-{number}", [BASELINE] * 3 + [CRITICAL] * 5))
        until(lambda: gateway.readings() == 8 * NOISY, 60, "the readings")
        until(lambda: smtp.messages, 20, "a mail")
    finally:
        process.terminate()
        assert process.wait(20) == 0
        os.close(read)
        os.close(write)
    record(sent=8 * NOISY, stored=8 * NOISY, messages=len(smtp.messages))
