"""A journal as history: by the same rules, the engine concludes from it what the gateway concluded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backtest.journalled import read_journal
from gateway.backtest.recorded import Recorded
from gateway.backtest.running import Outcome, run
from gateway.domain.alerting.liveness import Reception
from gateway.domain.detection.rules import DAY_NS, Rules
from gateway.domain.detection.timeline import Clocks
from gateway.domain.model.events import DomainEvent, Message
from tests.readings import NOON_NS, SECOND, Plant, plant, reading

RULES = Rules(learning_readings=5, learning_ns=0, settling_ns=0, silent_after_ns=60 * SECOND)
STATE, STATUS = "vibration/plant-1/hall-2/pump-7/state", "vibration/plant-1/hall-2/pump-7/VB-1/status"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    """A plant where everything has happened that is no reading, too."""
    with plant(tmp_path, RULES) as made:
        made.take(*(reading(second, 4.0 + 0.01 * (second % 3)) for second in range(10)))
        made.take(*(reading(20 + second, 12.0) for second in range(4)))
        made.take(message(STATE, b'{"state": "stopped"}', 30))
        made.take(*(reading(31 + second, 40.0) for second in range(4)))
        made.take(message(STATE, b'{"state": "running"}', 40), message(STATUS, b"offline", 41))
        made.pipeline.pass_time(NOON_NS + 45 * SECOND, Reception(45 * SECOND, 0))
        made.pipeline.pass_time(NOON_NS + 400 * SECOND, Reception(400 * SECOND, 0))
        made.take(*(reading(410 + second, 4.0) for second in range(4)), reading(405, 4.0))
        made.pipeline.set_baseline("VB-1", 1.5, state="running", by="Ada", time_ns=NOON_NS + 420 * SECOND)
        made.take(*(reading(421 + second, 4.0) for second in range(4)))
        made.pipeline.relearn("VB-1", by="Ada", time_ns=NOON_NS + 430 * SECOND)
        made.take(*(reading(431 + second, 4.0 + 0.01 * (second % 3)) for second in range(10)))
        yield made


def message(topic: str, payload: bytes, second: int) -> Message:
    return Message(topic, payload, NOON_NS + second * SECOND, 1, retained=True)


def again(here: Plant, rules: Rules = RULES, *, since: int | None = None, until: int | None = None) -> Outcome:
    with here.reader() as reader:
        history = read_journal(reader, *(None if at is None else NOON_NS + at * SECOND for at in (since, until)))
        return run(history, lambda _: rules, Clocks(DAY_NS // 1000), watch=False)


def test_the_same_rules_lead_to_the_same_facts(here: Plant) -> None:
    """All of them: alerts raised, escalated, stale, seen again, cleared, and what was learned, with the same ids."""
    expected = [fact for _, fact in here.contents()["facts"]]
    assert {fact.type for fact in expected} >= {
        "AlertRaised", "AlertStale", "AlertActive", "AlertCleared", "BaselineLearned", "BaselineSet", "TimePassed",
        "MachineStateChanged", "SensorStatusChanged",
    }, "this journal proves something"  # fmt: skip
    assert [(fact.id, fact.type, fact.data) for _, fact in again(here).facts] == [
        (fact.id, fact.type, fact.data) for fact in expected
    ]


def test_rows_are_readings(here: Plant) -> None:
    outcome = again(here)
    assert outcome.readings == len(here.contents()["readings"])
    assert (outcome.alerts[0].row, outcome.late) == (12, 1)


def test_other_rules_lead_to_other_alerts(here: Plant) -> None:
    outcome = again(here, Rules(learning_readings=5, learning_ns=0, settling_ns=0, on_readings=100))
    assert [entry.kind for entry in outcome.alerts if entry.kind == "machine"] == []


def test_a_span_begins_with_the_state_that_the_machine_was_in(here: Plant) -> None:
    with here.reader() as reader:
        span = list(read_journal(reader, NOON_NS + 32 * SECOND, NOON_NS + 34 * SECOND))
    assert [each.data["state"] if isinstance(each, DomainEvent) else each.row for each in span] == ["stopped", 0, 1]
    assert again(here, Rules(baseline=4.0), since=32, until=34).alerts == []


def test_readings_are_what_they_were(here: Plant) -> None:
    with here.reader() as reader:
        first = next(each for each in read_journal(reader) if isinstance(each, Recorded))
    assert (first.event.event_id, first.received_ns) == ("VB-1@0", NOON_NS + SECOND // 2)
    assert first.tags["machine"] == "pump-7"
