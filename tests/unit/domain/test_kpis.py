"""ISA-18.2's figures, against counts made by hand."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.alerting.kpis import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    AlertEvent,
    Kpis,
    alert_event,
    assess,
    kpis,
)
from gateway.domain.model.events import DomainEvent

_ids = count()


def raised(minute: float, subject: str = "VB-1", severity: str = "warning", alert: str = "") -> AlertEvent:
    return AlertEvent(int(minute * MINUTE_NS), "raised", alert or f"alert-{next(_ids)}", subject, severity)


def change(minute: float, what: str, alert: str, subject: str = "VB-1", severity: str = "warning") -> AlertEvent:
    return AlertEvent(int(minute * MINUTE_NS), what, alert, subject, severity)


def of(*events: AlertEvent, hours: float = 24) -> Kpis:
    return kpis(events, 0, int(hours * HOUR_NS))


def test_nothing_has_happened() -> None:
    found = of()
    assert (found.announcements, found.per_hour, found.flood_share, found.stale) == (0, 0, 0, 0)
    assert (found.top, found.top_share, found.seconds_to_acknowledge, found.critical_share) == ([], None, None, None)


def test_an_escalation_is_an_announcement_but_no_other_alert() -> None:
    found = of(raised(1, alert="a"), change(2, "escalated", "a", severity="critical"), change(3, "cleared", "a"))
    assert (found.announcements, found.alerts, found.escalations) == (2, 1, 1)
    assert (found.warning_share, found.critical_share) == (0.5, 0.5)


def test_rates_are_means_over_the_whole_span() -> None:
    found = of(*(raised(10 * number) for number in range(12)), hours=2)
    assert (found.hours, found.per_hour, found.per10_minutes) == (2, 6, 1)


def test_ten_in_ten_minutes_are_no_flood_and_eleven_are() -> None:
    ten = of(*(raised(number, f"VB-{number}") for number in range(10)))
    assert (ten.most10_minutes, ten.floods, ten.flood_share) == (10, 0, 0)
    eleven = of(*(raised(number * 0.9, f"VB-{number}") for number in range(11)))
    assert (eleven.most10_minutes, eleven.floods) == (11, 1)


def test_a_flood_lasts_until_fewer_than_five_are_left() -> None:
    found = of(*(raised(number * 0.5, f"VB-{number}") for number in range(11)))  # the eleventh at 5.0; over at 13.0
    assert found.flood_share == pytest.approx(8 / (24 * 60))  # the seventh, of minute 3, leaves four


def test_a_flood_that_goes_on_counts_up_to_the_end() -> None:
    found = kpis([raised(0) for _ in range(11)], 0, 5 * MINUTE_NS)
    assert found.flood_share == 1


def test_the_ten_worst() -> None:
    found = of(
        *(raised(number, f"VB-{number % 20}") for number in range(40)),
        *(raised(number, "VB-0") for number in range(10)),
    )
    assert found.top[0].sensor_id == "VB-0"
    assert (found.top[0].alerts, found.top[0].share) == (12, 12 / 50)
    assert len(found.top) == 10
    assert found.top_share == (12 + 9 * 2) / 50


def test_three_alerts_within_a_minute_are_chattering() -> None:
    found = of(
        *(raised(number / 3, "chatters") for number in range(3)),
        *(raised(number / 2, "slower") for number in range(3)),
        raised(0, "one"), raised(0, "other"), raised(0, "third"),
    )  # fmt: skip
    assert found.chattering == ["chatters"]


def test_a_stale_alert_has_been_open_for_a_day() -> None:
    day = DAY_NS // MINUTE_NS
    events = [
        raised(0, alert="stale"),
        raised(0, alert="in time"),
        change(day - 1, "cleared", "in time"),
        raised(0, alert="too late"),
        change(day + 1, "cleared", "too late"),
        raised(day, alert="young"),
    ]
    assert of(*events, hours=36).stale == 2


def test_only_what_becomes_stale_within_the_span_counts() -> None:
    events = [raised(0, alert="a")]
    assert kpis(events, DAY_NS, 3 * DAY_NS).stale == 1
    assert kpis(events, 2 * DAY_NS, 3 * DAY_NS).stale == 0
    assert kpis(events, 0, DAY_NS).stale == 0


def test_the_time_to_acknowledge_is_a_median_and_the_first_counts() -> None:
    events = [
        raised(0, alert="a"),
        change(1, "acknowledged", "a"),
        change(50, "acknowledged", "a"),
        raised(0, alert="b"),
        change(3, "acknowledged", "b"),
        raised(0, alert="c"),
        change(9, "acknowledged", "never raised"),
    ]
    found = of(*events)
    assert (found.seconds_to_acknowledge, found.acknowledged, found.unacknowledged) == (120, 2, 1)


def test_what_lies_outside_the_span_is_no_announcement() -> None:
    found = kpis([raised(0), raised(60), raised(120)], HOUR_NS, 2 * HOUR_NS)
    assert found.announcements == 1


def test_a_fact_that_is_about_no_alert_is_none() -> None:
    fact = DomainEvent("1", "BaselineLearned", 7, "VB-1", "1", "1", {})
    assert alert_event(fact) is None


def test_an_alert_fact_counts_at_the_time_it_became_known() -> None:
    fact = DomainEvent("1", "AlertRaised", 7, "VB-1", "1", "1", {"id": "a", "severity": "critical"})
    assert alert_event(fact) == AlertEvent(7, "raised", "a", "VB-1", "critical")
    assert alert_event(fact, 9) == AlertEvent(9, "raised", "a", "VB-1", "critical")


def test_each_recommendation_can_be_missed() -> None:
    events = [raised(number / 100, f"VB-{number % 12}", "critical") for number in range(2400)]
    found = {entry.name: entry.met for entry in assess(of(*events, hours=36))}
    assert set(found.values()) == {False}, found


def test_a_quiet_plant_meets_them_or_says_that_too_little_has_happened() -> None:
    found = assess(of(raised(1), hours=720))
    assert [entry.met for entry in found] == [True, True, True, True, None, True, True, None]


@given(st.lists(st.integers(0, 3 * 24 * 3600), max_size=60))
def test_shares_are_shares_and_nothing_depends_on_the_order(seconds: list[int]) -> None:
    events = [AlertEvent(at * SECOND_NS, "raised", str(n), f"VB-{at % 3}", "warning") for n, at in enumerate(seconds)]
    found = kpis(events, 0, 2 * DAY_NS)
    assert 0 <= found.flood_share <= 1
    assert found.announcements == sum(at < 2 * 24 * 3600 for at in seconds)
    assert kpis(list(reversed(events)), 0, 2 * DAY_NS) == found
