"""Rows 1 to 6: the gateway is killed at exact points of its work, and at random ones."""

import os
import random
import sys
import time
from functools import partial

import pytest

from tests.accounting import telling_problems, wait_until_told
from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, reading, series, waves
from tests.faults.results import Recorder, counted, megabytes
from tests.programs import report, simulating
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

WAVES, READINGS, MESSAGES = 4, 5, 7  # of readings to keep and messages in all, in each wave


def publish_until_dead(gateway: MortalGateway, broker: Mosquitto) -> None:
    """Publish wave after wave, each once the one before has been processed or has killed the gateway."""
    for sent, messages in enumerate(waves(WAVES), start=1):
        broker.publish_all(messages)
        until(partial(gateway.has_taken, sent * MESSAGES), 20, "a wave")
    gateway.wait_for_death()


def recover(gateway: MortalGateway, broker: Mosquitto) -> float:
    """Start it again and return the seconds until everything that the broker still had has been processed."""
    began = time.monotonic()
    gateway.start()
    broker.publish_all([reading("S-LAST")])  # the broker sends it after everything that it sends again
    until(lambda: gateway.rows("SELECT 1 FROM sensors WHERE id = 'S-LAST'"), 20, "the last reading")
    until(lambda: gateway.stored() >= 1, 5, "the count of it")
    return time.monotonic() - began


def assert_kept_once(gateway: MortalGateway) -> None:
    """Check that each reading and each bad message is in the journal, none twice, and that there is one alert."""
    ledger = gateway.ledger()
    assert ledger.readings == ledger.unique == WAVES * READINGS + 1
    assert ledger.dead_letters == {"not_json": WAVES, "invalid": WAVES}
    assert ledger.alerts == {"AlertRaised": 1}
    assert gateway.integrity() == ["ok"]


def note(gateway: MortalGateway, record: Recorder, *mail_servers: SmtpServer, seconds: float, note: str = "") -> None:
    ledger = gateway.ledger()
    record(
        sent=WAVES * MESSAGES + 1,
        acknowledged=WAVES * MESSAGES + 1,
        stored=ledger.unique,
        redelivered=int(gateway.metric("duplicates_total")),
        dead_letters=counted(ledger.dead_letters),
        alerts=counted(ledger.alerts),
        messages=sum(len(server.messages) for server in mail_servers),
        kills=gateway.kills,
        seconds_to_recover=round(seconds, 2),
        peak_memory=megabytes(gateway.resident_bytes(peak=True)),
        note=note,
    )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(("point", "batch"), [("received", 1), ("before-commit", 3)])
def test_row_01_killed_after_receiving_before_the_commit(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, point: str, batch: int, protocol: str
) -> None:
    """Row 1: what was received and not committed is sent again and stored once."""
    gateway = make(smtp=smtp, changes={"mqtt": {"protocol": protocol}})
    gateway.arm(point, batch)
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    assert gateway.readings() < WAVES * READINGS
    seconds = recover(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert_kept_once(gateway)
    assert len(smtp.messages) == 1
    note(gateway, record, smtp, seconds=seconds, note=f"{point}, batch {batch}, MQTT {protocol}")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(("point", "batch"), [("after-commit", 1), ("before-acknowledgement", 3)])
def test_row_02_killed_after_the_commit_before_the_acknowledgement(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, point: str, batch: int, protocol: str
) -> None:
    """Row 2: readings and bad messages that come again are recognised; no second alert, no second dead letter."""
    gateway = make(smtp=smtp, changes={"mqtt": {"protocol": protocol}})
    gateway.arm(point, batch)
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    ((committed, at),) = gateway.rows("SELECT count(*), max(received) FROM readings")
    assert committed > 0
    assert at is not None
    seconds = recover(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert_kept_once(gateway)
    assert gateway.metric("duplicates_total") > 0, "nothing came again, so somebody acknowledged it too early"
    assert len(smtp.messages) == 1
    note(gateway, record, smtp, seconds=seconds, note=f"{point}, batch {batch}, MQTT {protocol}")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("point", ["in-transaction", "in-commit"])
def test_row_03_killed_in_the_middle_of_a_commit(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, point: str, batch: int
) -> None:
    """Row 3: half a batch, in memory or in the write-ahead log, is rolled back and sent again."""
    gateway = make(smtp=smtp)
    gateway.arm(point, batch)
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    before = gateway.readings()
    seconds = recover(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert_kept_once(gateway)
    assert len(smtp.messages) == 1
    note(gateway, record, smtp, seconds=seconds, note=f"{point}, batch {batch}; {before} readings at the restart")


def test_row_04_killed_after_influxdb_has_taken_the_points(
    make: Make, mosquitto: Mosquitto, influx: Influx, record: Recorder
) -> None:
    """Row 4: the points are written again, over themselves."""
    gateway = make(influx=influx)
    gateway.arm("influxdb-has-it", 2)
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    assert influx.count("vibration", "level") > 0
    ((cursor,),) = gateway.rows("SELECT coalesce(max(seq), 0) FROM cursors WHERE consumer = 'influx'")
    seconds = recover(gateway, mosquitto)
    everything = WAVES * READINGS + 1
    until(lambda: influx.count("vibration", "level") >= everything, 20, "every point")
    until(lambda: gateway.metric("influx_lag_readings") == 0, 20, "the cursor at the end")
    assert influx.count("vibration", "level") == everything
    assert influx.count("alert", "state") == 1
    assert gateway.metric("influx_points_written_total") >= everything + 1 - cursor
    assert_kept_once(gateway)
    record(
        sent=WAVES * MESSAGES + 1,
        stored=everything,
        in_influxdb=influx.count("vibration", "level"),
        kills=gateway.kills,
        seconds_to_recover=round(seconds, 2),
        note=f"{gateway.metric('influx_points_written_total'):g} points written after the restart",
    )


@pytest.mark.parametrize("point", ["before-outbox", "before-mail"])
def test_row_05_killed_before_the_mail_is_handed_over(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, point: str
) -> None:
    """Row 5: one mail after the restart, whether it was not even planned or about to be sent."""
    gateway = make(smtp=smtp)
    gateway.arm(point)
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    assert gateway.ledger().alerts == {"AlertRaised": 1}
    assert smtp.messages == []
    seconds = recover(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert_kept_once(gateway)
    assert len(smtp.messages) == 1
    note(gateway, record, smtp, seconds=seconds, note=point)


def test_row_05_killed_between_the_mail_and_the_note_of_it(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder
) -> None:
    """Row 5, the one gap that SMTP leaves: the mail goes out again, and its Message-ID says that it is the same."""
    gateway = make(smtp=smtp)
    gateway.arm("after-mail")
    gateway.start()
    publish_until_dead(gateway, mosquitto)
    assert len(smtp.messages) == 1
    seconds = recover(gateway, mosquitto)
    wait_until_told(gateway, 1)
    assert_kept_once(gateway)
    assert len(smtp.messages) == 2
    assert len({received.message["Message-ID"] for received in smtp.messages}) == 1
    note(gateway, record, smtp, seconds=seconds, note="after-mail: the same Message-ID twice")


KILLS, COUNT = int(os.environ.get("FAULTS_KILLS", "100")), int(os.environ.get("FAULTS_MESSAGES", "1000000"))
SENSORS, EXCEEDING = 100, 5


@pytest.mark.parametrize(
    ("kills", "count", "rate", "seed"),
    [
        pytest.param(6, 9000, 1000, 1, id="quick"),
        pytest.param(KILLS, COUNT, 4000, 2, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)
def test_row_06_killed_at_random_times_under_load(
    make: Make,
    mosquitto: Mosquitto,
    influx: Influx,
    smtp: SmtpServer,
    twilio: TwilioServer,
    *,
    record: Recorder,
    kills: int,
    count: int,
    rate: int,
    seed: int,
) -> None:
    """Row 6: nothing is missing, nothing is there twice, everybody was told once, and the file passes a full check.

    The moments are drawn by the number of readings stored since the start, so that they fall into every phase.
    """
    random_ = random.Random(seed)
    gateway = make(influx=influx, smtp=smtp, twilio=twilio)
    gateway.start()
    peak, seconds = 0, 0.0
    options = ["--sensors", str(SENSORS), "--alert-every", str(SENSORS // EXCEEDING), "--seed", str(seed)]
    with simulating(mosquitto, "load", "--rate", str(rate), "--count", str(count), *options) as load:
        for _ in range(kills):
            enough = random_.randint(1, count // kills)
            until(partial(has_stored, gateway, enough, count), 60, "readings")
            peak = max(peak, gateway.resident_bytes(peak=True))
            gateway.kill()
            began = time.monotonic()
            gateway.start()
            seconds = max(seconds, time.monotonic() - began)
        counts = report(load, timeout=60 + 3 * count / rate)
    until(lambda: gateway.last_seq() >= count, 60 + count / 2000, "about as many readings as there are")
    until(lambda: gateway.readings() >= count, 20, "every reading")
    wait_until_told(gateway, 2 * EXCEEDING, timeout=60)
    until(lambda: influx.count("vibration", "level") >= count, 60 + count / 2000, "every point in InfluxDB")
    assert counts["sent"] == counts["acknowledged"] == count
    ledger = gateway.ledger()
    assert ledger.readings == ledger.unique == count
    assert not ledger.dead_letters
    assert ledger.alerts["AlertRaised"] == EXCEEDING
    assert influx.count("vibration", "level") == count
    repeated = told_again(gateway, smtp, twilio)
    assert repeated <= 2 * kills  # a mail and an SMS may be under way at each
    assert gateway.integrity() == ["ok"]
    record(
        sent=counts["sent"],
        acknowledged=counts["acknowledged"],
        stored=ledger.unique,
        in_influxdb=influx.count("vibration", "level"),
        dead_letters=counted(ledger.dead_letters),
        alerts=counted(ledger.alerts),
        messages=len(smtp.messages) + len(twilio.messages),
        repeated_messages=repeated,
        kills=gateway.kills,
        seconds_to_recover=round(seconds, 2),
        peak_memory=megabytes(max(peak, gateway.resident_bytes(peak=True))),
        seed=seed,
    )


def has_stored(gateway: MortalGateway, enough: int, count: int) -> bool:
    """Tell whether it has stored so many since its start, or everything there is to store."""
    return gateway.stored() >= enough or gateway.last_seq() >= count


def told_again(gateway: MortalGateway, smtp: SmtpServer, twilio: TwilioServer) -> int:
    """Return how many messages came twice. Only one that was being handed over at a kill may, with the same id."""
    mails = [received.message["Message-ID"] for received in smtp.messages]
    texts = [received.form["Body"] for received in twilio.messages]
    assert len(set(mails)) == len(set(texts)) == EXCEEDING
    repeated = len(mails) + len(texts) - 2 * EXCEEDING
    if not repeated:
        assert telling_problems(gateway, smtp, twilio) == []
    return repeated


def test_row_06_every_kill_leads_to_the_same_events(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 6: a gateway that is killed again and again concludes the same from the same messages as one that is not.

    The same but for sequence numbers, receive and record stamps, and delivery events.
    """
    other = {"gateway": {"id": "edge-2"}}
    mortal, spared = make(), make(changes=other)
    mortal.start()
    spared.start()
    seed = 11
    options = ["--seed", str(seed), "--speed", "60", "--duration", "10s"]
    with simulating(mosquitto, "run", *options) as run:
        for each in random.Random(seed).choices(range(50, 150), k=4):
            until(partial(has_stored, mortal, each, sys.maxsize), 20, "readings")
            mortal.kill()
            mortal.start()
        counts = report(run)
    for gateway in (mortal, spared):
        gateway.wait_for_count(counts["published"])
    found, expected = mortal.conclusions(), spared.conclusions()
    assert found == expected
    assert len(expected["readings"]) == counts["published"]
    assert {"AlertRaised", "AlertEscalated"} <= {fact[0] for fact in expected["facts"]}
    record(
        sent=counts["published"],
        acknowledged=counts["acknowledged"],
        stored=len(found["readings"]),
        alerts=counted(mortal.ledger().alerts),
        kills=mortal.kills,
        seed=seed,
        note=f"{len(found['facts'])} facts and {len(found['readings'])} readings equal those of an undisturbed run",
    )


def test_row_06_a_series_across_a_kill_is_one_series(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 6: the state of detection survives: two readings above the limit before a kill and one after it raise."""
    gateway = make()
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE, CRITICAL, CRITICAL]))
    until(lambda: gateway.stored() == 3, 10, "three readings")
    gateway.kill()
    gateway.start()
    mosquitto.publish(*reading("S-1", CRITICAL, second=3))
    until(lambda: gateway.stored() == 1, 10, "the fourth")
    assert gateway.ledger().alerts == {"AlertRaised": 1}
    record(sent=4, stored=4, kills=1, alerts=counted(gateway.ledger().alerts))
