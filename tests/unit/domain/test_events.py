from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model.events import derive, derived_id
from gateway.domain.model.timefmt import microseconds, rfc3339


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_696_005_025_000_000_000, "2023-09-29T16:30:25.000Z"),
        (1_696_005_025_123_000_000, "2023-09-29T16:30:25.123Z"),
        (1_696_005_025_123_000_999, "2023-09-29T16:30:25.123Z"),
        (1_696_005_025_123_456_000, "2023-09-29T16:30:25.123456Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_shown_to_the_millisecond_or_finer_where_it_is_finer(ns: int, text: str) -> None:
    assert rfc3339(ns) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_that_the_journal_can_hold_can_be_shown(ns: int) -> None:
    assert datetime.fromisoformat(rfc3339(ns)).tzinfo is not None


@given(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))))
def test_microseconds_are_exact(moment: datetime) -> None:
    assert timedelta(microseconds=microseconds(moment)) == moment - datetime(1970, 1, 1, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc() -> None:
    naive = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - that is the case in hand
    assert microseconds(naive) == microseconds(naive.replace(tzinfo=UTC))


def test_the_ends_of_the_calendar_are_times() -> None:
    east, west = timezone(timedelta(hours=23, minutes=59)), timezone(-timedelta(hours=23, minutes=59))
    assert microseconds(datetime.min.replace(tzinfo=east)) < microseconds(datetime.max.replace(tzinfo=west))


def test_a_fact_made_again_has_the_same_id_and_any_other_has_another() -> None:
    made = derive("AlertRaised", "VB-1", 5, cause="e1", correlation="e1", data={})
    assert derive("AlertRaised", "VB-1", 5, cause="e1", correlation="other", data={"x": 1}).id == made.id
    others = [
        derive("AlertCleared", "VB-1", 5, cause="e1", correlation="e1", data={}),
        derive("AlertRaised", "VB-2", 5, cause="e1", correlation="e1", data={}),
        derive("AlertRaised", "VB-1", 6, cause="e1", correlation="e1", data={}),
        derive("AlertRaised", "VB-1", 5, cause="e2", correlation="e1", data={}),
    ]
    assert len({made.id, *(fact.id for fact in others)}) == 5


def test_parts_do_not_run_into_each_other() -> None:
    assert derived_id("ab", "c") != derived_id("a", "bc")
