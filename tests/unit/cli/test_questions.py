"""What the journal holds, as tables for people and as JSON for programs."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.consumers.dead_letters import kept
from gateway.domain.alerting.liveness import Reception
from gateway.domain.detection.state import UNKNOWN_NS
from gateway.domain.notification.model import Notification
from gateway.domain.notification.outbox import OutboxItem, Outcome, Planning
from gateway.journal.outbox.rows import Messages
from tests.readings import NOON, NOON_NS, Plant, event, message, plant, reading, topic_of
from tests.unit.cli.conftest import Run

LISTED = {
    "id", "kind", "sensorId", "severity", "state", "acknowledged", "shelvedUntil", "openedAt", "clearedAt", "reason",
    "openedBy",
}  # fmt: skip
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\nfake row\t<script>alert(1)</script>{{7*7}}[red]x[/red]\u202etxt\x9b31m"
HARMFUL = set(map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]))


def answer(run: Run, *arguments: object) -> Any:
    result = run(*arguments, "-o", "json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


@pytest.fixture
def eventful(here: Plant) -> Plant:
    """A plant with a pump that was ill and is well again, one that is ill, and something that could not be used."""
    levels = [4.0, 7.0, 7.0, 7.0, 12.0, 12.0, 12.0, 4.0, 4.0, 4.0]
    here.take(*(reading(second, level) for second, level in enumerate(levels)))
    here.take(*(reading(second, 8.0, "VB-2") for second in range(5)))
    here.take(reading(2.5), message(b"{"), message([1, 2]))
    return here


class TestCounts:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["events", "count"], 16),
            (["events", "count", "--sensor", "VB-2"], 5),
            (["events", "count", "--sensor", "nobody"], 0),
            (["events", "count", "--type", "AlertRaised"], 2),
            (["events", "count", "--type", "AlertRaised", "--sensor", "VB-1"], 1),
            (["events", "count", "--type", "all"], 20),
            (["events", "count", "--since", "2026-03-01T12:00:05Z"], 5),
            (["events", "count", "--since", "2026-03-01T12:00:05+00:00", "--until", "2026-03-01T12:00:07"], 2),
            (["events", "count", "--until", "2026-03-01"], 0),
            (["events", "count", "--since", "0001-01-01"], 16),
            (["events", "count", "--since", "9999-12-31"], 0),
            (["events", "count", "--since", "999999999w"], 16),
            (["deadletters", "count"], 3),
        ],
    )
    @pytest.mark.usefixtures("eventful")
    def test_a_count_is_one_integer(self, run: Run, arguments: list[str], expected: int) -> None:
        result = run(*arguments)
        assert (result.code, result.out, result.err) == (0, f"{expected}\n", "")

    @pytest.mark.usefixtures("here")
    def test_so_long_ago_is_from_now(self, run: Run) -> None:
        """The readings of the test lie on a fixed day."""
        day = (datetime.now(UTC) - NOON + timedelta(days=1)).days
        assert run("events", "count", "--since", f"{abs(day)}d").out == "0\n"


class TestAlerts:
    def test_the_open_ones_are_listed_with_the_promised_names(self, run: Run, eventful: Plant) -> None:
        (alert,) = answer(run, "alerts", "list")
        assert set(alert) >= LISTED
        assert (alert["kind"], alert["sensorId"], alert["severity"]) == ("machine", "VB-2", "warning")
        assert (alert["state"], alert["acknowledged"], alert["shelvedUntil"]) == ("active", False, None)
        assert (alert["openedAt"], alert["clearedAt"]) == ("2026-03-01T12:00:02.000Z", None)
        assert (alert["openedBy"], alert["reason"][:8]) == ("VB-2@2", "RMS 8.0 ")
        assert eventful.changes()[-1] == ("AlertRaised", "warning")

    @pytest.mark.usefixtures("eventful")
    def test_all_are_all(self, run: Run) -> None:
        states = {alert["sensorId"]: alert["state"] for alert in answer(run, "alerts", "list", "--all")}
        assert states == {"VB-1": "cleared", "VB-2": "active"}
        table = run("alerts", "list", "--all").out
        assert all(word in table for word in ("VB-1", "VB-2", "critical", "cleared", "pump-7"))

    @pytest.mark.usefixtures("here")
    def test_none_is_said_in_words_and_as_an_empty_array(self, run: Run) -> None:
        assert run("alerts", "list").out == "No alert is open.\n"
        assert run("alerts", "list", "--all").out == "There are no alerts.\n"
        assert answer(run, "alerts", "list") == []

    def test_one_is_shown_with_its_changes_and_who_was_told(self, run: Run, eventful: Plant) -> None:
        listed = answer(run, "alerts", "list", "--all")
        whole = next(alert["id"] for alert in listed if alert["sensorId"] == "VB-1")
        bare = Notification("n1", "raised", whole, "machine", "warning", "VB-1", "", 0, 0, "edge-1")
        messages, item = Messages(eventful.journal), OutboxItem("n1", "mail", 0, 0, whole, "c", bare)
        messages.enqueue(Planning(0, [item]), "notifier", 1)
        messages.take("mail", 1)
        messages.settle(item, Outcome("sent", 1, 1, "250 ok"), [])
        shown = answer(run, "alerts", "show", whole[:8])
        assert [change["change"] for change in shown["history"]] == ["AlertRaised", "AlertEscalated", "AlertCleared"]
        assert shown["history"][0]["told"] == [{"handler": "mail", "state": "sent", "attempts": 1, "said": "250 ok"}]
        assert "mail sent (250 ok)" in run("alerts", "show", whole).out

    def test_what_a_handler_would_send_is_shown_and_not_sent(self, run: Run, eventful: Plant, config: Path) -> None:
        assert eventful.path.exists()
        with config.open("a") as file:
            file.write('[http]\npublic_url = "https://gateway.example.com/"\n')
            file.write('[handlers.mail]\ntype = "email"\nhost = "smtp.invalid"\nfrom = "g@example.com"\n')
            file.write('to = ["Anna <anna@example.com>"]\n[handlers.phone]\ntype = "sms"\naccount_sid = "AC1"\n')
            file.write(
                'auth_token = "hunter2"\nfrom = "+15005550006"\nto = ["+46700000000"]\ntext = "{sensor} {kind}"\n'
            )
            file.write('[handlers.none]\ntype = "memory"\n')
        raised = next(alert["id"] for alert in answer(run, "alerts", "list", "--all") if alert["sensorId"] == "VB-2")
        shown = run("alerts", "show", raised, "--render", "mail").out
        assert shown.startswith("subject: WARNING: pump-7 VB-2 at ")
        assert "Acknowledge: https://gateway.example.com/s/…\n" in shown
        assert "<html" not in shown
        parts = answer(run, "alerts", "show", raised, "--render", "mail")
        assert parts["html"].startswith("<!DOCTYPE html>")
        assert 'src="data:image/png;base64,' in parts["html"]
        assert run("alerts", "show", raised, "--render", "phone").out == "VB-2 raised\n"
        assert run("alerts", "show", raised, "--render", "none").err.startswith("Error: none: a handler of this type")
        assert run("alerts", "show", raised, "--render", "nobody").err.startswith(
            "Error: there is no [handlers.nobody]"
        )

    @pytest.mark.parametrize("unknown", ["zzz", "' OR 1=1 --", "%"])
    @pytest.mark.usefixtures("eventful")
    def test_one_that_is_not_there_is_an_error_in_a_line(self, run: Run, unknown: str) -> None:
        result = run("alerts", "show", unknown)
        assert (result.code, result.out) == (1, "")
        assert result.err == f"Error: no alert has an id that begins with {unknown!r}\n"

    def test_an_alert_can_be_acknowledged_once_while_no_gateway_runs(self, run: Run, tmp_path: Path) -> None:
        with plant(tmp_path / "state") as here:
            here.take(*(reading(second, 8.0) for second in range(3)))
        (alert,) = answer(run, "alerts", "list")
        acknowledged = run("alerts", "ack", alert["id"][:8], "--by", "Ada\x1b[2J")
        assert acknowledged.out == "VB-1: warning acknowledged by Ada\\x1b[2J\n"
        (alert,) = answer(run, "alerts", "list")
        assert alert["acknowledged"] is True
        again = run("alerts", "ack", alert["id"])
        assert again.code == 1
        assert "has acknowledged this alert already" in again.err

    def test_one_that_has_cleared_or_is_not_there_is_not_acknowledged(self, run: Run, tmp_path: Path) -> None:
        with plant(tmp_path / "state") as here:
            here.take(*(reading(second, 8.0 if second < 3 else 4.0) for second in range(6)))
        before = answer(run, "alerts", "list", "--all")
        over = run("alerts", "ack", before[0]["id"][:8], "--by", "Ada")
        unknown = run("alerts", "ack", "zzz", "--by", "Ada")
        assert (over.code, over.out, unknown.code, unknown.out) == (1, "", 1, "")
        assert over.err.endswith("; one that has cleared needs no acknowledgement\n")
        assert unknown.err == "Error: no alert has an id that begins with 'zzz'\n"
        assert answer(run, "alerts", "list", "--all") == before


class TestEvents:
    @pytest.mark.usefixtures("eventful")
    def test_readings_are_listed_the_newest_last_with_their_flags(self, run: Run) -> None:
        listed = answer(run, "events", "list", "--sensor", "VB-1", "--type", "VibrationRecorded", "--limit", 3)
        assert [item["eventId"] for item in listed] == ["VB-1@7", "VB-1@8", "VB-1@9"]
        assert listed[0]["event"]["data"] == {"sensorId": "VB-1", "vibrationLevel": 4.0}
        assert (listed[0]["level"], listed[0]["baseline"]) == (4.0, 4.0)
        everything = answer(run, "events", "list", "--sensor", "VB-1", "--type", "VibrationRecorded")
        assert [item["flags"] for item in everything] == [[]] * 10 + [["late"]]
        table = run("events", "list", "--sensor", "VB-1").out
        assert "VB-1@2.5" in table
        assert "late" in table

    @pytest.mark.usefixtures("eventful")
    def test_facts_are_listed_with_their_causes(self, run: Run) -> None:
        (first, _) = answer(run, "events", "list", "--type", "AlertRaised")
        assert (first["subject"], first["causationId"], first["correlationId"]) == ("VB-1", "VB-1@3", "VB-1@3")
        assert first["data"]["severity"] == "warning"

    @pytest.mark.usefixtures("eventful")
    def test_everything_comes_in_the_order_of_the_journal(self, run: Run) -> None:
        numbers = [item["seq"] for item in answer(run, "events", "list")]
        assert numbers == sorted(numbers)
        assert len(numbers) == 20
        newest = answer(run, "events", "list", "--limit", 3)
        assert [item["eventType"] for item in newest] == ["VibrationRecorded"] * 2 + ["AlertCleared"]
        assert [item["timestamp"][17:19] for item in newest] == ["08", "09", "09"]

    def test_a_body_that_is_not_utf8_throughout_or_deeply_nested_is_still_json(self, run: Run, here: Plant) -> None:
        body = message(event()).payload[:-1]
        here.take(
            message(body + b', "note": "\xff"}'),
            message(body.replace(b"VB-1@0", b"deep") + b', "deep": ' + b"[" * 700 + b"]" * 700 + b"}"),
        )
        first, second = answer(run, "events", "list")
        assert first["event"]["note"] == "\ufffd"
        assert second["eventId"] == "deep"

    @pytest.mark.usefixtures("here")
    def test_nothing_is_said_in_words(self, run: Run) -> None:
        assert run("events", "list").out == "There are no such events.\n"


class TestDeadLetters:
    @pytest.mark.usefixtures("eventful")
    def test_they_are_listed_with_their_reasons(self, run: Run) -> None:
        listed = answer(run, "deadletters", "list")
        assert [(letter["reason"], letter["element"]) for letter in listed] == [
            ("invalid", 1),
            ("invalid", 0),
            ("not_json", None),
        ]
        assert len(answer(run, "deadletters", "list", "--reason", "not_json")) == 1
        assert "not_json" in run("deadletters", "list").out

    def test_one_is_shown_with_its_payload(self, run: Run, here: Plant) -> None:
        payload = b'{"x": "\xff\x1b[2J"}'
        here.take(message(payload))
        shown = answer(run, "deadletters", "show", 1)
        assert base64.b64decode(shown["payloadBase64"]) == payload
        assert shown["meaning"]
        assert not HARMFUL & set(run("deadletters", "show", 1).out)

    def test_a_replay_without_a_gateway_says_which_consumers_could_not_be_asked(self, run: Run, here: Plant) -> None:
        here.take(reading(0), message(b"{"))
        with here.reader() as reader:
            (refused,) = reader.step(0, 1).readings
        here.journal.execute(kept("consumer.ours", [(refused, "it has horns")]))
        result = run("deadletters", "replay", "--all")
        assert result.code == 1
        assert "0 of 2 could be used" in result.out
        assert "1 still cannot be used: consumer_refused: it has horns" in result.out
        assert "could not be asked: consumer.ours: no such consumer is running" in result.out

    def test_those_with_a_reason_can_be_replayed(self, run: Run, here: Plant) -> None:
        here.take(reading(0), message(b"{"), message(b"[]"))
        assert "0 of 1 could be used" in run("deadletters", "replay", "--reason", "not_json").out
        assert "no dead letters with the reason too_large" in run("deadletters", "replay", "--reason", "too_large").err
        assert run("deadletters", "replay", "--reason", "not_json", "--all").code == 2

    @pytest.mark.usefixtures("here")
    def test_one_that_is_not_there_is_an_error(self, run: Run) -> None:
        result = run("deadletters", "show", 5)
        assert (result.code, result.err) == (
            1,
            "Error: there is no dead letter 5; 'deadletters list' shows those there are\n",
        )


@pytest.mark.usefixtures("eventful")
@pytest.mark.parametrize("command", ["count", "list", "export"])
def test_a_type_that_does_not_exist_is_wrong_usage(run: Run, command: str, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "out.csv")] if command == "export" else []
    result = run("events", command, "--type", "alertraised\x1b[2J", *arguments)
    assert result.code == 2
    assert "'alertraised\\x1b[2J' is not one of 'VibrationRecorded', 'AlertRaised'" in " ".join(result.err.split())
    assert "\x1b" not in result.err


@pytest.mark.usefixtures("eventful")
@pytest.mark.parametrize("order", [["--since", "1h", "--until", "2h"], ["--until", "2h", "--since", "1h"]])
def test_a_window_that_ends_before_it_begins_is_wrong_usage(run: Run, order: list[str]) -> None:
    result = run("events", "count", *order)
    assert (result.code, "--since must be before --until" in result.err) == (2, True)
    assert run("events", "count", "--since", "2h", "--until", "1h").code == 0


class TestSensorsAndStats:
    @pytest.mark.usefixtures("eventful")
    def test_sensors_are_listed_with_their_state(self, run: Run) -> None:
        listed = answer(run, "sensors", "list")
        assert [(sensor["sensor"], sensor["state"], sensor["level"]) for sensor in listed] == [
            ("VB-1", "ok", 4.0),
            ("VB-2", "warning", 8.0),
        ]
        assert (listed[1]["ratio"], listed[1]["machine"]) == (2.0, "pump-7")
        assert "VB-2" in run("sensors", "list").out

    def test_what_is_wrong_with_a_sensor_is_said(self, run: Run, here: Plant) -> None:
        here.take(*(reading(second, 8.0) for second in range(5)), reading(5, 4.0, "VB-2"))
        here.pipeline.pass_time(NOON_NS + 10**14, Reception(2 * UNKNOWN_NS, 0))
        listed = answer(run, "sensors", "list")
        assert [(row["sensor"], row["health"]) for row in listed] == [("VB-1", "silent"), ("VB-2", "silent")]
        assert answer(run, "sensors", "show", "VB-1")["health"] == "silent"

    def test_one_that_is_gone_is_forgotten_until_it_measures_again(self, run: Run, tmp_path: Path) -> None:
        with plant(tmp_path / "state") as here:
            here.take(*(reading(second, 8.0) for second in range(5)), reading(5, 4.0, "VB-2"))
            here.pipeline.pass_time(NOON_NS + 10**14, Reception(2 * UNKNOWN_NS, 0))
        forgotten = run("sensors", "forget", "VB-1", "--by", "Ada\x1b[2J", "--reason", "scrapped")
        assert (forgotten.code, forgotten.out) == (
            0, "VB-1: forgotten, as Ada\\x1b[2J wanted; its history stays, and its next reading brings it back\n",
        )  # fmt: skip
        assert [row["health"] for row in answer(run, "sensors", "list")] == ["forgotten", "silent"]
        (said,) = answer(run, "events", "list", "--type", "SensorForgotten")
        assert (said["data"]["by"], said["data"]["comment"]) == ("Ada\x1b[2J", "scrapped")
        assert answer(run, "sensors", "forget", "VB-2")["sensorId"] == "VB-2"
        assert answer(run, "alerts", "list") == []
        assert run("events", "count").out == "6\n"
        unknown = run("sensors", "forget", "nobody")
        assert (unknown.code, unknown.err) == (1, "Error: no sensor 'nobody' has published yet\n")
        with plant(tmp_path / "state") as here:
            here.crash()
            here.pipeline.pass_time(NOON_NS + 10**15, Reception(9 * UNKNOWN_NS, 0))
            assert answer(run, "alerts", "list") == []
            here.take(reading(900))
        assert [row["health"] for row in answer(run, "sensors", "list")] == ["ok", "forgotten"]

    @pytest.mark.usefixtures("eventful")
    def test_one_is_shown_with_its_alerts(self, run: Run) -> None:
        shown = answer(run, "sensors", "show", "VB-1")
        assert [alert["state"] for alert in shown["alerts"]] == ["cleared"]
        assert "cleared" in run("sensors", "show", "VB-1").out
        assert run("sensors", "show", "nobody").err == "Error: no sensor 'nobody' has published yet\n"

    @pytest.mark.parametrize(
        "command",
        [
            ("sensors", "show", "DE"),
            ("baselines", "show", "DE"),
            ("events", "list", "--sensor", "DE"),
            ("alerts", "history", "--sensor", "DE"),
            ("events", "export", "--sensor", "DE"),
        ],
    )
    def test_an_id_of_two_machines_is_asked_for_with_the_machine(
        self, here: Plant, run: Run, command: tuple[str, ...]
    ) -> None:
        for machine in ("pump-3", "fan-9"):
            here.take(message(event(0, sensor="DE"), topic=topic_of("DE", machine)))
        refused = run(*command)
        assert refused.code != 0
        assert "write which one is meant: 'DE (pump-3)', 'DE (fan-9)'" in refused.err
        assert run(*command[:-1], "DE (fan-9)").code == 0

    def test_stats_are_numbers(self, run: Run, eventful: Plant) -> None:
        eventful.journal.move_cursor("influx", 5)
        stats = answer(run, "stats")
        assert (stats["sensors"], stats["readings"], stats["lastSeq"]) == (2, 16, 23)
        assert stats["deadLetters"] == {"invalid": 2, "not_json": 1}
        assert stats["openAlerts"] == {"critical": 0, "warning": 1}
        assert stats["consumers"] == {"influx": {"cursor": 5, "behind": 18}}
        assert stats["journalBytes"] > 0
        assert "16" in run("stats").out

    def test_what_has_never_been_reached_is_listed_and_what_is_behind_by_design_is_not(
        self, run: Run, eventful: Plant
    ) -> None:
        for consumer in ("influx", "rollups_1h"):
            eventful.journal.move_cursor(consumer, 0)
        assert answer(run, "stats")["consumers"]["influx"] == {"cursor": 0, "behind": 23}
        shown = run("stats").out
        assert re.search(r"influx +not reached yet +23", shown)
        assert "rollups" not in shown

    @pytest.mark.usefixtures("here")
    def test_an_empty_journal_has_words_for_everything(self, run: Run) -> None:
        assert run("sensors", "list").out == "No sensor has published yet.\n"
        assert "Nobody has been told anything yet." in run("stats").out


COMMANDS = [
    ["alerts", "list", "--all"],
    ["alerts", "show"],
    ["events", "list"],
    ["sensors", "list"],
    ["sensors", "show", "VB-1"],
    ["deadletters", "list"],
    ["deadletters", "show", "1"],
    ["stats"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_hostile_texts_are_shown_and_not_obeyed(run: Run, here: Plant, command: list[str]) -> None:
    """No control character reaches the terminal, and no text pretends to be a row or a style."""
    here.take(message(b"\x1b[2J\r\n<script>", topic=f"vibration/{HOSTILE}"))
    odd = event(0, 20.0, unit=HOSTILE, operatingState=HOSTILE)
    here.take(
        *(
            message(
                {**odd, "eventId": str(n), "timestamp": f"2026-03-01T12:00:0{n}Z", "sensorLocation": HOSTILE}, second=n
            )
            for n in range(4)
        )
    )
    if command == ["alerts", "show"]:
        command = [*command, answer(run, "alerts", "list")[0]["id"]]
    result = run(*command)
    assert result.code == 0
    assert not HARMFUL & set(result.out)
    assert not [line for line in result.out.splitlines() if line.lstrip().startswith("fake row")]
    if command[0] == "alerts":
        assert "<script>alert(1)</script>{{7*7}}[red]x[/red]" in result.out
        assert "\\x1b[2J" in result.out


class TestTrace:
    def test_the_life_of_a_reading(self, run: Run, eventful: Plant) -> None:
        found = answer(run, "trace", "VB-2@2")
        assert found["sensorId"] == eventful.journal.open_alerts()[0].sensor_id
        assert [line["step"] for line in found["steps"]][:4] == ["published", "received", "stored", "evaluated"]
        table = run("trace", "VB-2@2").out
        assert all(word in table for word in ("VB-2@2", "AlertRaised", "configured baseline"))

    @pytest.mark.usefixtures("eventful")
    def test_an_unknown_one_is_said_in_a_line(self, run: Run) -> None:
        result = run("trace", "x\x1b[2J")
        assert (result.code, result.out) == (1, "")
        assert "the journal knows no event 'x\\x1b[2J'" in result.err
