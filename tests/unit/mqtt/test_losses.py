"""What the broker had for us and lost is told with as much as is known of it."""

import asyncio

import pytest

from gateway.domain.model.events import Severity
from gateway.mqtt import incidents as module
from gateway.mqtt.incidents import QUEUE, SESSION, SUBJECTS, Incidents, watch_incidents
from gateway.mqtt.losses import Dropped, Known, Session, recall


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def incidents(clock: Clock) -> Incidents:
    return Incidents(clock)


def told(incidents: Incidents, clock: Clock, subject: str) -> tuple[Severity, str] | None:
    clock.now += 5
    return incidents.standing()[subject]


@pytest.mark.parametrize(
    ("is_known", "lasts", "answers", "is_lost"),
    [
        (False, True, [False], False),
        (False, True, [False, True], False),
        (False, True, [False, False], True),
        (True, True, [True], False),
        (True, True, [False], True),
        (True, False, [False, False], False),
    ],
    ids=["first", "kept", "lost", "kept over a start", "lost over a start", "never meant to last"],
)
def test_a_session_that_was_there_is_missed(
    incidents: Incidents, clock: Clock, *, is_known: bool, lasts: bool, answers: list[bool], is_lost: bool
) -> None:
    session = Session("edge-1", incidents, is_known=is_known, lasts=lasts)
    for present in answers:
        session.connected(present=present)
    assert session.is_known
    found = told(incidents, clock, SESSION)
    assert (found is not None) == is_lost
    assert found is None or (found[0] == "critical" and "'edge-1'" in found[1])


def test_a_session_that_is_taken_is_told_though_the_broker_says_it_is_there(incidents: Incidents, clock: Clock) -> None:
    session = Session("edge-1", incidents)
    session.suspect("; 3 in a row were short")
    found = told(incidents, clock, SESSION)
    assert found == ("warning", "the connection to the broker does not last; 3 in a row were short")
    session.taken()
    session.suspect("; 4 in a row were short")
    found = told(incidents, clock, SESSION)
    assert found is not None
    assert found[0] == "critical", "it does not become less"


def test_the_number_of_dropped_messages_is_told_with_the_session(incidents: Incidents, clock: Clock) -> None:
    dropped = Dropped(incidents, 100, clock)
    Session("edge-1", incidents, is_known=True).connected(present=False)
    assert incidents.standing().get(SESSION, "held back") == "held back"
    dropped.hear(b"4100")
    found = told(incidents, clock, SESSION)
    assert found is not None
    assert "has dropped 4000 messages" in found[1]


@pytest.mark.parametrize(
    ("known", "heard", "severity", "number"),
    [
        (None, [b"7"], None, 0),
        (7, [b"7"], None, 0),
        (7, [b"9"], "critical", 2),
        (7, [b"7", b"9"], "warning", 2),
        (7, [b"7", b"9", b"12"], "warning", 5),
        (7, [b"3"], "critical", 3),
        (7, [b"0"], None, 0),
        (7, [b"", b"-8", b"9 apples", b"9" * 21, "\u0663".encode()], None, 0),
    ],
    ids=["first", "same", "while away", "while there", "sum", "broker anew", "broker anew, none", "no numbers"],
)
def test_dropped_messages_are_told_with_their_number(
    incidents: Incidents, clock: Clock, *, known: int | None, heard: list[bytes], severity: Severity | None, number: int
) -> None:
    dropped = Dropped(incidents, known, clock)
    for payload in heard:
        dropped.hear(payload)
        clock.now += 15
    found = told(incidents, clock, QUEUE)
    assert (found[0] if found else None) == severity
    assert found is None or f"has dropped {number} messages" in found[1]


def test_what_is_dropped_while_we_are_away_is_critical_each_time(incidents: Incidents, clock: Clock) -> None:
    dropped = Dropped(incidents, 0, clock)
    dropped.hear(b"0")
    clock.now += 15
    dropped.connected()
    dropped.hear(b"5")
    found = told(incidents, clock, QUEUE)
    assert found is not None
    assert found[0] == "critical"
    assert dropped.count == 5


def test_a_count_from_before_we_came_says_nothing_of_what_was_dropped_since(incidents: Incidents, clock: Clock) -> None:
    dropped = Dropped(incidents, 0, clock)
    dropped.hear(b"0")
    clock.now += 10
    dropped.hear(b"90")
    found = told(incidents, clock, QUEUE)
    assert found is not None
    assert found[0] == "critical"


def test_it_is_over_when_nothing_of_the_kind_has_happened_for_an_hour(incidents: Incidents, clock: Clock) -> None:
    dropped = Dropped(incidents, 0, clock)
    dropped.hear(b"1")
    clock.now += 3000
    dropped.hear(b"2")
    clock.now += 3000
    assert incidents.standing()[QUEUE] is not None
    clock.now += 1000
    assert incidents.standing() == dict.fromkeys(SUBJECTS)


@pytest.mark.parametrize(
    ("note", "known"),
    [
        (None, Known()),
        ('{"session": "a at b:1", "dropped": 3}', Known("a at b:1", 3)),
        ('{"session": "another", "dropped": 3}', Known()),
        ("[]", Known()),
        ("{", Known()),
    ],
)
def test_only_what_was_noted_of_this_session_counts(note: str | None, known: Known) -> None:
    assert recall(note, "a at b:1") == known


async def test_changes_are_reported_and_first_that_all_is_well(
    incidents: Incidents, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0)
    reported: list[tuple[str, str | None, Severity]] = []

    async def report(subject: str, reason: str | None, severity: Severity) -> None:
        reported.append((subject, reason, severity))
        await asyncio.sleep(0)

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(reported) < count:  # noqa: ASYNC110 - the task below appends
                await asyncio.sleep(0)

    task = asyncio.create_task(watch_incidents(incidents, report))
    await until(4)
    assert reported == [(subject, None, "warning") for subject in SUBJECTS]
    incidents.happened(QUEUE, "critical", "dropped")
    clock.now += 5
    await until(5)
    clock.now += 4000
    await until(6)
    task.cancel()
    assert reported[4:] == [(QUEUE, "dropped", "critical"), (QUEUE, None, "warning")]
