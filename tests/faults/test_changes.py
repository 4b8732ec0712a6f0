"""Changes while readings come in: reloads under load, dead letters that are taken again, and what gets too old."""

import signal
import time
from functools import partial
from pathlib import Path

from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, event, series, topic
from tests.faults.our_clock import OurClock
from tests.programs import report, simulating
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

RELOADS, COUNT = 4, 8000


def starts(gateway: MortalGateway) -> int:
    return sum(line["event"] == "the gateway is running" for line in gateway.said())


def reload(gateway: MortalGateway) -> None:
    """Let it read its configuration again and wait until it runs with it."""
    expected = starts(gateway) + 1
    gateway.signal(signal.SIGHUP)
    until(lambda: starts(gateway) == expected, 10, "the new start")
    until(lambda: gateway.answers("/-/ready"), 10, "it to be ready")


def open_files(gateway: MortalGateway) -> int:
    return len(list(Path(f"/proc/{gateway.pid}/fd").iterdir()))


def has_taken(gateway: MortalGateway, readings: int) -> bool:
    return gateway.readings() >= readings


def test_reloads_under_load_lose_nothing(make: Make, mosquitto: Mosquitto, influx: Influx) -> None:
    gateway = make(influx=influx)
    gateway.start()
    pid, files = gateway.pid, open_files(gateway)
    with simulating(mosquitto, "load", "--rate", "2000", "--count", str(COUNT)) as load:
        for number in range(RELOADS):
            until(partial(has_taken, gateway, number * COUNT // 8 + 1), 20, "readings")
            reload(gateway)
        counts = report(load)
    until(partial(has_taken, gateway, COUNT), 20, "every reading")
    until(lambda: influx.count("vibration", "level") >= COUNT, 20, "every point")
    ledger = gateway.ledger()
    assert counts["acknowledged"] == ledger.readings == ledger.unique == COUNT
    assert influx.count("vibration", "level") == COUNT
    assert not ledger.dead_letters
    assert gateway.pid == pid
    assert open_files(gateway) <= files + 2, "what the old ones had open stays open"  # two: connections to InfluxDB


def test_what_was_to_follow_is_taken_out_of_a_route_while_an_alert_waits_for_it(
    make: Make, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Nobody else is told, nobody is reminded, and the gateway goes on: when the time comes, and after a restart."""
    follow = 'escalation = [{after = "5s", handlers = ["boss"]}]\nrepeat = "1m"\n'
    route = {"name": "r", "severity": "warning", "handlers": ["me"], "group_by": "none"}
    handlers = {"me": {"type": "log"}, "boss": {"type": "log"}}
    gateway = make(changes={"handlers": handlers, "routes": [route], "detection": {"on_readings": 1}})
    without = gateway.config.read_text()
    gateway.config.write_text(without.replace('name = "r"\n', f'name = "r"\n{follow}'))
    clock = OurClock(tmp_path / "clock")
    gateway.put_on_path(clock.folder)
    gateway.start()
    mosquitto.publish_all([*series("S-1", [BASELINE] * 10), *series("S-1", [CRITICAL], start=20)])
    until(lambda: gateway.metric("notifications_total{me,sent}") == 1, 20, "the message")
    told_at = time.monotonic()
    gateway.config.write_text(without)
    reload(gateway)
    until(lambda: time.monotonic() > told_at + 7, 20, "the time of the boss to pass")
    for minutes in (2, 4):  # the time of the reminder
        assert gateway.running
        assert gateway.answers("/-/ready")
        assert gateway.rows("SELECT handler, kind, state FROM outbox") == [("me", "raised", "sent")]
        gateway.stop()
        clock.set_off(60 * minutes)
        gateway.start()


def test_dead_letters_are_taken_again_with_another_configuration(make: Make, mosquitto: Mosquitto) -> None:
    """The last part of the topic was taken for the sensor, and is its place at the machine: no id fits."""
    gateway = make()
    gateway.start()
    right = series("S-1", [BASELINE] * 5)
    mosquitto.publish_all([*((topic("left"), payload) for _, payload in right), (topic("left"), b"no json")])
    until(lambda: gateway.metric("messages_received_total") == 6, 10, "the messages")
    assert gateway.ledger().dead_letters == {"topic_mismatch": 5, "not_json": 1}
    gateway.config.write_text(gateway.config.read_text().replace("{sensor}", "{position}"))
    reload(gateway)
    (first, *_) = sorted(letter["seq"] for letter in gateway.ask("deadletters", "list"))
    gateway.command("deadletters", "replay", str(first))
    assert gateway.ledger().dead_letters == {"topic_mismatch": 4, "not_json": 1}
    gateway.stop()
    replayed = gateway.run("deadletters", "replay", "--all")  # without a gateway, too
    assert replayed.returncode == 1  # the one that is no JSON stays
    assert "1 still cannot be used: not_json" in replayed.stdout
    gateway.start()
    mosquitto.publish(topic("left"), right[0][1])  # one of them once more
    until(lambda: gateway.metric("duplicates_total") == 1, 10, "the duplicate")
    ledger = gateway.ledger()
    assert ledger.readings == ledger.unique == 5
    assert ledger.dead_letters == {"not_json": 1}
    times = gateway.rows("SELECT time / 1000 = event_us FROM readings")
    assert times == [(1,)] * 5


def test_what_is_older_than_it_is_kept_goes(make: Make, mosquitto: Mosquitto, influx: Influx) -> None:
    """Only what InfluxDB has: until then it stays, however old."""
    kept = {"readings": "1ms", "dead_letters": "1ms"}
    gateway = make(influx=influx, changes={"retention": kept})
    influx.proxy.stop()
    gateway.start()
    mosquitto.publish_all([*series("S-1", [BASELINE] * 50), (topic("S-1"), b"no json")])
    until(lambda: gateway.metric("messages_received_total") == 51, 10, "the messages")
    gateway.stop()
    gateway.start()
    until((gateway.state_dir / "ballast").exists, 10, "the upkeep to have begun")
    assert gateway.readings() == 50
    influx.proxy.start(lambda: True)
    until(lambda: influx.count("vibration", "level") == 50, 40, "every point")
    gateway.stop()
    gateway.start()
    until(lambda: gateway.readings() == 0, 90, "them to go")  # at the next minute, if the rollups were not ready yet
    until(lambda: not gateway.ledger().dead_letters, 10, "the dead letter to go")
    mosquitto.publish_all(series("S-1", [BASELINE] * 50))
    until(lambda: gateway.stored() == 50, 10, "them to be new ones, since nobody remembers them")
    assert event("S-1")["eventId"] == gateway.rows("SELECT event_id FROM readings ORDER BY seq LIMIT 1")[0][0]


def test_baselines_are_changed_while_it_runs_and_while_it_does_not(make: Make, mosquitto: Mosquitto) -> None:
    """Who runs is asked over HTTP; who does not leaves its lock to the command. A kill forgets neither."""
    gateway = make()
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 5))
    until(lambda: gateway.stored() == 5, 10, "the readings")
    made = gateway.ask("baselines", "set", "S-1", "9.5", "--by", "Ada", "--reason", "new bearing")
    assert (made["level"], made["by"]) == (9.5, "Ada")
    gateway.kill()
    assert [(row["level"], row["version"]) for row in gateway.ask("baselines", "list")] == [(9.5, made["version"])]
    nowhere = gateway.run("baselines", "relearn", "S-1", "--state", "elsewhere")
    assert (nowhere.returncode, nowhere.stderr) == (
        1,
        "Error: no reading was in the state 'elsewhere'; states are ''\n",
    )
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE], start=60))
    until(lambda: gateway.readings() == 6, 10, "a reading")
    assert gateway.rows("SELECT baseline FROM readings ORDER BY seq DESC LIMIT 1") == [(9.5,)]
    refused = gateway.run("baselines", "relearn", "nobody")
    assert (refused.returncode, refused.stderr) == (1, "Error: no sensor 'nobody' has published yet\n")
