"""Rows 18 and 19: a disk that is full, and a journal that is as large as it may become."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.accounting import wait_until_told
from tests.faults.conftest import Make
from tests.faults.disk import SmallDisk, small_disk
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, series
from tests.faults.results import Recorder, counted, megabytes
from tests.programs import simulate
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

DISK = 40  # MB
RESERVE = 2_000_000
NOTICED = 10.0  # seconds
WELL = "the gateway to be ready again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return the disk that the state directory of the test's first gateway is on."""
    if os.geteuid() != 0:
        pytest.fail("a test that fills a disk mounts one of its own: run it as root", pytrace=False)
    with small_disk(tmp_path / "gateway-0" / "state", DISK) as made:
        yield made


def gateway_alerts(gateway: MortalGateway, subject: str) -> list[str]:
    """Return what has become of the alerts about a part of the gateway, in order: the types of the facts."""
    query = f"SELECT type FROM events WHERE type LIKE 'Alert%' AND subject = '{subject}' ORDER BY seq"  # noqa: S608 - a name from this file
    return [type_ for (type_,) in gateway.rows(query)]


def reasons(gateway: MortalGateway) -> str:
    return "; ".join(gateway.get("/-/ready")["reasons"])


def is_ready(gateway: MortalGateway) -> bool:
    return gateway.answers("/-/ready")


def test_row_18_a_disk_with_little_left(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, disk: SmallDisk, record: Recorder
) -> None:
    """Row 18: below the reserve nothing is acknowledged any more, the alert is out, and with space all comes in.

    A kill in between changes nothing of it.
    """
    gateway = make(smtp=smtp, changes={"retention": {"reserve": f"{RESERVE // 1000}kB"}})
    gateway.start()
    until((disk.folder / "ballast").exists, NOTICED, "the ballast")
    mosquitto.publish_all(series("S-1", [BASELINE] * 50))
    until(lambda: gateway.readings() == 50, 10, "readings before")
    disk.fill(leave=RESERVE // 2)
    until(lambda: not is_ready(gateway), NOTICED, "the gateway to notice")
    assert "less than retention.reserve" in reasons(gateway)
    wait_until_told(gateway, 1)
    mosquitto.publish_all(series("S-1", [CRITICAL] * 500, start=50))
    assert gateway.answers("/-/healthy")
    gateway.kill()
    gateway.start(ready=False)
    until(lambda: "retention.reserve" in reasons(gateway), NOTICED, "it to notice again")
    assert gateway.readings() == 50
    disk.clear()
    began = time.monotonic()
    until(lambda: is_ready(gateway), NOTICED, WELL)
    until(lambda: gateway.readings() == 550, 20, "what the broker kept")
    seconds = time.monotonic() - began
    wait_until_told(gateway, 2)
    ledger = gateway.ledger()
    assert ledger.readings == ledger.unique == 550
    until(lambda: gateway_alerts(gateway, "disk") == ["AlertRaised", "AlertCleared"], 10, "the end of the alert")
    subjects = [received.message["Subject"] for received in smtp.messages]
    assert len(subjects) == 2
    assert "disk" in subjects[0]
    assert gateway.integrity() == ["ok"]
    record(
        sent=550,
        acknowledged=550,
        stored=ledger.unique,
        alerts=counted(ledger.alerts),
        messages=len(subjects),
        kills=gateway.kills,
        seconds_to_recover=round(seconds, 1),
        peak_memory=megabytes(gateway.resident_bytes(peak=True)),
        note=f"{RESERVE // 2:,} bytes left of {DISK} MB",
    )


def test_row_18_not_a_byte_left(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, disk: SmallDisk, record: Recorder
) -> None:
    """Row 18: the disk is full in the middle of a transaction, and the ballast goes too: nothing is half done."""
    gateway = make(smtp=smtp, changes={"retention": {"reserve": "200kB"}})
    gateway.start()
    until((disk.folder / "ballast").exists, NOTICED, "the ballast")
    mosquitto.publish_all(series("S-1", [BASELINE] * 50))
    until(lambda: gateway.readings() == 50, 10, "readings before")
    wait_for_a_look_at(disk)
    disk.fill()
    mosquitto.publish_all(series("S-1", [CRITICAL] * 1000, start=50))
    until(lambda: "database or disk is full" in reasons(gateway), NOTICED, "a transaction to fail")
    until(lambda: "retention.reserve" in reasons(gateway), NOTICED, "the gateway to see why")
    until(lambda: gateway_alerts(gateway, "disk"), NOTICED, "the alert, in the space that the ballast gave")
    disk.fill()
    mosquitto.publish_all(series("S-2", [BASELINE] * 1000))
    stored, count = gateway.readings(), 2050
    assert gateway.answers("/-/healthy")
    assert gateway.readings() == stored < count
    disk.clear()
    began = time.monotonic()
    until(lambda: is_ready(gateway), NOTICED, WELL)
    until(lambda: gateway.readings() >= count, 30, "what the broker kept")
    seconds = time.monotonic() - began
    until(lambda: gateway_alerts(gateway, "disk") == ["AlertRaised", "AlertCleared"], 10, "the end of the alert")
    ledger = gateway.ledger()
    assert ledger.readings == ledger.unique == count
    assert gateway_alerts(gateway, "S-1") == ["AlertRaised"]
    wait_until_told(gateway, 2)
    assert len(smtp.messages) == 2
    assert gateway.integrity() == ["ok"]
    peak, messages = megabytes(gateway.resident_bytes(peak=True)), len(smtp.messages)
    disk.fill()
    until(lambda: not is_ready(gateway), NOTICED, "the gateway to notice again")
    disk.fill()
    gateway.stop()
    record(
        sent=count,
        acknowledged=count,
        stored=ledger.unique,
        alerts=counted(ledger.alerts),
        messages=messages,
        seconds_to_recover=round(seconds, 1),
        peak_memory=peak,
        note=f"full at {stored} readings",
    )


def wait_for_a_look_at(disk: SmallDisk) -> None:
    """Wait until the gateway has just looked at its disk, which it does every two seconds: it misses its ballast."""
    ballast = disk.folder / "ballast"
    ballast.unlink()
    until(ballast.exists, NOTICED, "the ballast again")


CAP = 1_000_000


@pytest.mark.parametrize("reachable", [True, False], ids=["influxdb-reachable", "influxdb-away"])
def test_row_19_a_journal_at_its_cap(
    make: Make, mosquitto: Mosquitto, influx: Influx, smtp: SmtpServer, record: Recorder, *, reachable: bool
) -> None:
    """Row 19: the oldest readings go, those that InfluxDB has before those it has not; readings keep flowing.

    The alert is out before the first one goes.
    """
    gateway = make(influx=influx, smtp=smtp, changes={"retention": {"max_size": f"{CAP // 1000}kB"}})
    gateway.start()
    first = nearly_fill(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert first_reading(gateway) == 1
    until(lambda: influx.count("vibration", "level") == first, 20, "the first ones in InfluxDB")
    if not reachable:
        influx.proxy.stop()
    # few sensors: the saved state of a thousand would fill so small a journal by itself
    counts = simulate(mosquitto, "load", "--rate", "3000", "--count", "6000", "--sensors", "50")
    sent = first + counts["sent"]
    until(lambda: gateway.stored() == sent, 20, "the last reading")
    until(lambda: used(gateway) <= CAP and first_reading(gateway) > first, 20, "it to be cut to size")
    ((kept, oldest, newest),) = gateway.rows("SELECT count(*), min(seq), max(seq) FROM readings")
    ((facts,),) = gateway.rows("SELECT count(*) FROM events")
    assert newest - oldest + 1 - kept <= facts, "one in the middle has gone"
    assert gateway_alerts(gateway, "journal size") == ["AlertRaised"]
    assert is_ready(gateway)
    if not reachable:
        influx.proxy.start(lambda: True)
    least = sent if reachable else first + kept  # and what it had in hand when they went
    until(lambda: influx.count("vibration", "level") >= least, 60, "InfluxDB to have what there is")
    written = influx.count("vibration", "level")
    assert least <= written <= sent
    record(
        sent=sent,
        stored=sent,
        in_influxdb=written,
        alerts=counted(gateway.ledger().alerts),
        messages=len(smtp.messages),
        peak_memory=megabytes(gateway.resident_bytes(peak=True)),
        note=f"{kept} kept in {CAP / 1e6:g} MB; InfluxDB {'reachable' if reachable else 'away'}",
    )


def nearly_fill(gateway: MortalGateway, broker: Mosquitto) -> int:
    """Publish until the journal is so large that it is time for the alert; return the number of readings."""
    sent = 0
    while used(gateway) < 0.93 * CAP:
        broker.publish_all(series("S-1", [BASELINE] * 100, start=sent))
        sent += 100
        until(partial(has_stored, gateway, sent), 10, "the readings")
    return sent


def has_stored(gateway: MortalGateway, readings: int) -> bool:
    return gateway.stored() == readings


def first_reading(gateway: MortalGateway) -> int:
    return int(gateway.rows("SELECT coalesce(min(seq), 0) FROM readings")[0][0])


def used(gateway: MortalGateway) -> int:
    """Return the bytes that the journal's content takes up."""
    with gateway.journal() as database:
        database.execute("BEGIN")  # so that all three are of the same moment
        pages, free, size = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)
