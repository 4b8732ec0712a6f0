from gateway.domain.detection.baseline_events import (
    BASELINE_LEARNED,
    BASELINE_RELEARN,
    BASELINE_SET,
    current,
    described,
)
from gateway.domain.model.events import DomainEvent


def fact(type_: str, version: int = 0, sensor: str = "VB-1", state: str | None = "") -> DomainEvent:
    data = {"sensorId": sensor, "state": state, "version": version, "level": 4.0}
    return DomainEvent("1", type_, 1_000_000_000, sensor, "1", "1", data)


def versions(*facts: DomainEvent) -> list[tuple[str, str, int]]:
    return [(row["sensorId"], row["state"], row["version"]) for row in current(facts)]


def test_the_last_one_of_each_sensor_and_state_holds() -> None:
    assert versions(
        fact(BASELINE_LEARNED, 1, "VB-2"),
        fact(BASELINE_LEARNED, 1),
        fact(BASELINE_LEARNED, 2, state="fast"),
        fact(BASELINE_SET, 3),
    ) == [("VB-1", "", 3), ("VB-1", "fast", 2), ("VB-2", "", 1)]


def test_what_is_learned_anew_holds_no_more() -> None:
    known = [fact(BASELINE_LEARNED, 1), fact(BASELINE_LEARNED, 2, state="fast"), fact(BASELINE_LEARNED, 1, "VB-2")]
    assert versions(*known, fact(BASELINE_RELEARN, state="fast")) == [("VB-1", "", 1), ("VB-2", "", 1)]
    assert versions(*known, fact(BASELINE_RELEARN, state=None)) == [("VB-2", "", 1)]
    assert versions(*known, fact(BASELINE_RELEARN, state=None), fact(BASELINE_LEARNED, 3)) == [
        ("VB-1", "", 3),
        ("VB-2", "", 1),
    ]


def test_an_old_fact_without_a_state_is_one_of_the_state_that_nothing_says() -> None:
    old = DomainEvent("1", BASELINE_LEARNED, 0, "VB-1", "1", "1", {"sensorId": "VB-1", "level": 4.0, "version": 1})
    assert current([old])[0]["version"] == 1


def test_a_change_says_what_happened_and_when() -> None:
    assert described(fact(BASELINE_RELEARN)) == {
        "change": "relearn", "at": "1970-01-01T00:00:01.000Z", "sensorId": "VB-1", "state": "", "version": 0,
        "level": 4.0,
    }  # fmt: skip
