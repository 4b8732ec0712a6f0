import pytest

from gateway.mqtt import connection
from gateway.mqtt.connection import Pauses, Problems


def test_pauses_double_until_a_connection_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gateway.mqtt.connection.time.monotonic", lambda: now[0])
    pauses = Pauses()
    seconds = []
    for _ in range(12):
        pauses.ended()
        seconds.append(pauses.seconds)
    assert 0.5 <= seconds[0] <= 1.5
    assert seconds[:4] == [seconds[0] * factor for factor in (1, 2, 4, 8)]
    assert seconds[-1] == pauses.longest
    assert 20 <= pauses.longest <= 40
    pauses.connected()
    now[0] += 61
    pauses.ended()
    assert pauses.seconds == seconds[0]


def test_only_short_connections_are_suspicious() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.ended()
    assert pauses.suspicion("id") == ""
    for _ in range(3):
        pauses.connected()
        pauses.ended()
    assert "3 in a row were short: does another program use our client id 'id'" in pauses.suspicion("id")


def test_a_problem_is_logged_once_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(connection.log, "warning", said.append)
    problems = Problems()
    for problem in ("a", "a", "b", "a"):
        problems.say("connection", problem)
    assert said == ["a", "b", "a"]
    problems.say("subscription", "c")
    assert problems.all() == ["a", "c"]
    problems.clear("connection")
    assert problems.all() == ["c"]
    assert problems.of("connection") == ""
