"""Rows 20 and 22: a clock of ours that jumps, and readings in any order."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.journal.sqlite.codec import decode_state
from tests.accounting import wait_until_told
from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, WARNING, Message, reading
from tests.faults.our_clock import OurClock
from tests.faults.results import Recorder, counted
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

SENSORS = 5
HOUR, DAY = 3600.0, 86400.0
EPOCH = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> OurClock:
    return OurClock(tmp_path / "clock")


def jump(clock: OurClock, where: float | datetime) -> None:
    if isinstance(where, datetime):
        clock.set_to(where)
    else:
        clock.set_off(where)


def fleet(second: float, levels: dict[int, float]) -> list[Message]:
    """Return a reading of each sensor; its level is the baseline unless `levels` says else."""
    return [reading(f"S-{number}", levels.get(number, BASELINE), second=second) for number in range(SENSORS)]


def publish(gateway: MortalGateway, broker: Mosquitto, messages: Iterable[Message]) -> None:
    """Publish and wait until all is in the journal."""
    messages = list(messages)
    expected = gateway.readings() + len(messages)
    broker.publish_all(messages)
    until(lambda: gateway.readings() == expected, 10, "the readings")


def rewritten(gateway: MortalGateway) -> list[tuple[Any, ...]]:
    """Return the readings that are marked, or whose time is not what their sensor said."""
    return gateway.rows("SELECT event_id, flags FROM readings WHERE flags <> 0 OR time / 1000 <> event_us")


JUMPS = {"a-day-ahead": DAY, "an-hour-back": -HOUR, "1970": EPOCH}


@pytest.mark.parametrize("where", JUMPS.values(), ids=JUMPS)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_row_20_our_clock_jumps(
    make: Make,
    mosquitto: Mosquitto,
    smtp: SmtpServer,
    clock: OurClock,
    *,
    record: Recorder,
    where: float | datetime,
    restarted: bool,
) -> None:
    """Row 20: no alert changes, no good time is rewritten, new alerts are told at once; and so when it is right again.

    A box without a battery starts in 1970.
    """
    gateway = make(smtp=smtp)
    gateway.put_on_path(clock.folder)
    gateway.start()
    publish(gateway, mosquitto, (message for second in range(4) for message in fleet(second, {0: CRITICAL})))
    wait_until_told(gateway, 1)
    if restarted:
        gateway.stop()
    jump(clock, where)
    if restarted:
        gateway.start()
    publish(gateway, mosquitto, (message for second in range(4, 60) for message in fleet(second, {0: CRITICAL})))
    publish(gateway, mosquitto, [reading("S-NEW", second=60)])
    assert gateway.ledger().alerts == {"AlertRaised": 1}
    publish(gateway, mosquitto, (message for second in range(60, 64) for message in fleet(second, {1: CRITICAL})))
    wait_until_told(gateway, 2)
    clock.set_off(0)
    publish(gateway, mosquitto, (message for second in range(64, 70) for message in fleet(second, {1: CRITICAL})))
    assert rewritten(gateway) == []
    assert gateway.ledger().alerts == {"AlertRaised": 2, "AlertCleared": 1}
    subjects = [received.message["Subject"] for received in smtp.messages]
    assert len(subjects) == 2
    sent = 70 * SENSORS + 1
    record(
        sent=sent, stored=gateway.ledger().unique, alerts=counted(gateway.ledger().alerts), messages=len(subjects),
        note=f"{where:+g} s" if isinstance(where, float) else f"to {where:%Y-%m-%d}",
    )  # fmt: skip


def test_row_20_few_sensors_and_a_box_that_is_long_in_1970(
    make: Make, mosquitto: Mosquitto, clock: OurClock, record: Recorder
) -> None:
    """Row 20: two sensors are no majority, but before this program was written no clock of ours is right."""
    jump(clock, EPOCH)
    gateway = make()
    gateway.put_on_path(clock.folder)
    gateway.start()
    publish(gateway, mosquitto, (reading(f"S-{number}", second=second) for second in range(300) for number in range(2)))
    clock.set_off(0)
    publish(gateway, mosquitto, (reading(f"S-{number}", second=300) for number in range(2)))
    assert rewritten(gateway) == []
    record(sent=602, stored=602)


@pytest.mark.parametrize("where", JUMPS.values(), ids=JUMPS)
def test_row_20_a_message_that_waits(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, clock: OurClock, *, record: Recorder, where: float | datetime
) -> None:
    """Row 20: a mail that waits for its mail server is sent when that is back, neither given up nor put off."""
    smtp.stop()
    gateway = make(smtp=smtp)
    gateway.put_on_path(clock.folder)
    gateway.start()
    publish(gateway, mosquitto, (message for second in range(4) for message in fleet(second, {0: CRITICAL})))
    until(lambda: gateway.metric("notifications_total{maintenance-mail,pending}") >= 2, 20, "some attempts")
    jump(clock, where)
    until(lambda: gateway.metric("notifications_total{maintenance-mail,pending}") >= 3, 20, "another one")
    smtp.start()
    until(lambda: smtp.messages, 20, "the mail")
    wait_until_told(gateway, 1)
    assert gateway.metric("notifications_total{maintenance-mail,failed}") == 0
    assert len(smtp.messages) == 1
    record(sent=20, stored=20, messages=1)


SHUFFLE, LATENESS = 15, 20  # seconds, in readings and of the configuration


def story() -> list[Message]:
    """Return readings of three sensors with alerts that are raised, escalated, cleared and raised again."""
    levels = [*[BASELINE] * 20, *[WARNING] * 10, *[CRITICAL] * 10, *[BASELINE] * 20, WARNING, WARNING, BASELINE]
    levels += [CRITICAL] * 5
    return [
        reading(f"S-{number}", level, second=second + 20 * number)
        for second, level in enumerate(levels)
        for number in range(3)
    ]


def shuffled(messages: list[Message], by: float, seed: int) -> list[Message]:
    """Return the messages as they arrive if each is up to `by` seconds late."""
    random_ = random.Random(seed)
    delays = [second // 3 + random_.uniform(0, by) for second in range(len(messages))]
    return [messages[index] for index in sorted(range(len(messages)), key=delays.__getitem__)]


def judged(gateway: MortalGateway) -> dict[str, Any]:
    """Return what follows from the readings, whatever their order: facts, alerts, and what is known of each sensor.

    When a sensor was last heard is left out: that does depend on the order in which its readings came.
    """
    found = gateway.conclusions()
    states = gateway.rows("SELECT id, state FROM detector JOIN sensors ON key = sensor")
    return {
        "facts": sorted(found["facts"], key=lambda fact: (fact[1], fact[4], fact[3])),
        "alerts": found["alerts"],
        "readings": sorted(row[:4] for row in found["readings"]),
        "states": {name: replace(decode_state(state), gaps=[], heard_ns=0, heard_time_ns=0) for name, state in states},
    }


def outcome(gateway: MortalGateway, broker: Mosquitto, messages: list[Message]) -> dict[str, Any]:
    """Return what the gateway concludes from the messages, the last of which is a later one of each sensor."""
    gateway.start()
    publish(gateway, broker, messages)
    publish(gateway, broker, (reading(f"S-{number}", second=300) for number in range(3)))
    until(lambda: gateway.stored() == len(messages) + 3, 5, "the count of them")
    gateway.stop()
    return judged(gateway)


def test_row_22_shuffled_within_the_lateness(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 22: the same facts, alerts and state as in order, and nothing is marked."""
    changes = {"detection": {"lateness": f"{LATENESS}s"}}
    seed = 3
    messages = story()
    ordered = make(changes=changes)
    expected = outcome(ordered, mosquitto, messages)
    apart = make(changes={**changes, "gateway": {"id": "edge-2"}})
    found = outcome(apart, mosquitto, shuffled(messages, SHUFFLE, seed))
    assert found == expected
    alerts = apart.ledger().alerts
    assert alerts == {"AlertRaised": 6, "AlertEscalated": 3, "AlertCleared": 3}
    assert rewritten(apart) == []
    record(sent=len(messages) + 3, stored=apart.ledger().unique, alerts=counted(alerts), seed=seed)


def test_row_22_shuffled_without_lateness(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 22: every reading is stored with its own time, and those behind their sensor's newest are marked."""
    gateway = make()
    seed = 3
    messages = shuffled(story(), SHUFFLE, seed)
    outcome(gateway, mosquitto, messages)
    newest: dict[str, str] = {}
    late = set()
    for _, payload in messages:
        event = json.loads(payload)
        sensor, moment = event["data"]["sensorId"], event["timestamp"]
        if moment < newest.get(sensor, ""):
            late.add((event["eventId"],))
        newest[sensor] = max(moment, newest.get(sensor, ""))
    assert set(gateway.rows("SELECT event_id FROM readings WHERE flags = 1")) == late
    assert not gateway.rows("SELECT 1 FROM readings WHERE time / 1000 <> event_us")
    assert 0 < len(late) < len(messages)
    record(sent=len(messages) + 3, stored=gateway.ledger().unique, seed=seed, note=f"{len(late)} late ones marked")
