"""Rows 46 to 48: what somebody who may publish does on purpose, and that no real machine loses anything by it."""

import json

import pytest

from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, reading, series
from tests.faults.results import Recorder, counted, megabytes
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

INVENTED, ALLOWED = 400, 50
CAP = 30_000_000
LARGE = 7_000_000


def alerts_of(gateway: MortalGateway, subject: str) -> list[str]:
    return [row[0] for row in gateway.rows(f"SELECT type FROM events WHERE subject = '{subject}' AND type LIKE 'Al%'")]  # noqa: S608 - ours


def test_row_47_invented_sensors(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 47: ids that nobody has: so many as allowed are taken, a real sensor is judged, and they can be removed."""
    gateway = make(changes={"quotas": {"sensors": ALLOWED}})
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 3))
    until(lambda: gateway.readings() == 3, 10, "the real one")
    mosquitto.publish_all([reading(f"FORGED-{number}") for number in range(INVENTED)])
    mosquitto.publish_all(series("S-1", [CRITICAL] * 3, start=10))
    until(lambda: gateway.metric("messages_received_total") == 6 + INVENTED, 20, "every message")
    refused = INVENTED - (ALLOWED - 1)
    ledger = gateway.ledger()
    assert ledger.dead_letters == {"over_quota": refused}
    assert ledger.unique == 6 + ALLOWED - 1
    assert "AlertRaised" in alerts_of(gateway, "S-1")
    until(lambda: alerts_of(gateway, "quota sensors") == ["AlertRaised"], 10, "it to be told, once")
    assert gateway.ask("stats")["overQuota"] == {"sensors": refused}
    made = gateway.ask("sensors", "purge", "--yes", "--pattern", "FORGED-*")
    assert made["sensors"] == ALLOWED - 1
    assert gateway.rows("SELECT id FROM sensors") == [("S-1",)]
    assert gateway.readings() == 6
    assert gateway.integrity() == ["ok"]
    record(
        sent=6 + INVENTED,
        stored=ledger.unique,
        dead_letters=counted(ledger.dead_letters),
        alerts=counted(ledger.alerts),
        peak_memory=megabytes(gateway.resident_bytes(peak=True)),
        note=f"{ALLOWED} sensors allowed; {made['sensors']} removed while it ran",
    )


@pytest.mark.parametrize("arrays", [False, True], ids=["one-letter-each", "a-hundred-letters-each"])
def test_row_48_garbage_at_the_cap(make: Make, mosquitto: Mosquitto, record: Recorder, *, arrays: bool) -> None:
    """Row 48: 20 x 7 MB that cannot be used, more than the journal may hold: garbage goes, and no reading."""
    gateway = make(changes={"retention": {"max_size": f"{CAP // 1_000_000}MB"}})
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 305))
    until(lambda: gateway.readings() == 305, 20, "the readings")
    element = json.dumps("x" * 60_000)
    garbage = f"[{','.join([element] * (LARGE // 60_000))}]" if arrays else "{" + "x" * LARGE
    topic, _ = reading("S-2")
    for number in range(20):
        mosquitto.publish(topic, garbage.encode() + b" " * number)
    until(lambda: gateway.metric("messages_received_total") == 325, 60, "all of it")
    until(lambda: used(gateway) <= CAP, 60, "it to be cut to size")
    assert gateway.readings() == 305
    record(
        sent=325,
        stored=305,
        dead_letters=counted(gateway.ledger().dead_letters),
        peak_memory=megabytes(gateway.resident_bytes(peak=True)),
        note=f"{used(gateway) / 1e6:.1f} MB kept of {CAP / 1e6:g}",
    )


def used(gateway: MortalGateway) -> int:
    """Return what the content of the journal takes up, without its free pages."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(gateway.rows(f"PRAGMA {name}")[0][0]) for name in names)
    return (pages - free) * size


def test_row_49_invented_machines(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 49: states of machines that nobody has: the state of one that has a sensor is taken all the same."""
    gateway = make(changes={"quotas": {"machine_states": ALLOWED}})
    gateway.start()
    mosquitto.publish(*reading("S-1"))
    until(lambda: gateway.readings() == 1, 10, "the real one")
    forged = [(f"vibration/plant/hall/forged-{number}/state", b'{"state": "running"}') for number in range(INVENTED)]
    mosquitto.publish_all([*forged, ("vibration/plant/hall/pump-1/state", b'{"state": "stopped"}')])
    until(lambda: gateway.metric("messages_received_total") == INVENTED + 2, 20, "every message")
    ledger = gateway.ledger()
    assert ledger.dead_letters == {"over_quota": INVENTED - ALLOWED}
    mosquitto.publish(*reading("S-1", second=1))
    until(lambda: gateway.readings() == 2, 10, "the next one")
    assert gateway.ask("sensors", "show", "S-1")["machineState"]["state"] == "stopped"
    until(lambda: alerts_of(gateway, "quota machine_states") == ["AlertRaised"], 10, "it to be told, once")
    record(sent=INVENTED + 3, stored=2, dead_letters=counted(ledger.dead_letters), note=f"{ALLOWED} allowed")
