from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.notification.oncall import Hours, Rota

STOCKHOLM, NEW_YORK, LORD_HOWE = (
    ZoneInfo(name) for name in ("Europe/Stockholm", "America/New_York", "Australia/Lord_Howe")
)
SECOND_NS = 10**9
NIGHT = Hours(STOCKHOLM, start=22 * 60, end=6 * 60)


def at(text: str, zone: ZoneInfo = STOCKHOLM, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)
    return int(moment.timestamp()) * 10**9


class TestHours:
    @pytest.mark.parametrize(
        ("text", "inside"),
        [
            ("2026-01-14T21:59:59", False),
            ("2026-01-14T22:00:00", True),
            ("2026-01-15T05:59:59", True),
            ("2026-01-15T06:00:00", False),
        ],
    )
    def test_they_last_from_one_time_to_before_the_other_over_midnight(self, text: str, *, inside: bool) -> None:
        assert NIGHT.contain(at(text)) is inside

    def test_a_night_belongs_to_the_day_on_which_it_begins(self) -> None:
        sunday = Hours(STOCKHOLM, frozenset({6}), 22 * 60, 4 * 60)
        assert sunday.contain(at("2026-01-19T03:00:00"))  # a Monday
        assert not sunday.contain(at("2026-01-18T03:00:00"))

    def test_they_end_at_their_end_and_what_follows_without_a_gap_is_one(self) -> None:
        assert NIGHT.until(at("2026-01-14T23:00:00")) == at("2026-01-15T06:00:00")
        weekend = Hours(STOCKHOLM, frozenset({5, 6}))
        assert weekend.until(at("2026-01-17T12:00:00")) == at("2026-01-19T00:00:00")

    @pytest.mark.parametrize("start", [0, 22 * 60])
    def test_where_the_clock_skips_their_end_they_end_with_the_change(self, start: int) -> None:
        until_half_past_two = Hours(STOCKHOLM, start=start, end=150)
        end = until_half_past_two.until(at("2026-03-29T01:30:00"))
        assert datetime.fromtimestamp(end / 1e9, UTC).isoformat() == "2026-03-29T01:00:00+00:00"
        assert until_half_past_two.contain(end - SECOND_NS)
        assert not until_half_past_two.contain(end)

    def test_an_hour_that_the_clock_shows_twice_belongs_to_them_twice(self) -> None:
        until_half_past_two = Hours(STOCKHOLM, start=0, end=150)
        first, second = at("2026-10-25T02:15:00"), at("2026-10-25T02:15:00", fold=1)
        assert second - first == 3600 * 10**9
        assert until_half_past_two.contain(first)
        assert until_half_past_two.contain(second)
        assert until_half_past_two.until(second) == at("2026-10-25T02:30:00", fold=1)

    @settings(deadline=None)
    @given(
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - seconds are made of it
        st.sampled_from([STOCKHOLM, NEW_YORK, LORD_HOWE]),
        st.integers(0, 1439),
        st.integers(1, 1440),
        st.frozensets(st.integers(0, 6), min_size=1),
    )
    def test_their_end_is_later_and_they_hold_until_just_before_it(
        self, moment: datetime, zone: ZoneInfo, start: int, end: int, days: frozenset[int]
    ) -> None:
        hours = Hours(zone, days, start, end)
        now_ns = int(moment.replace(tzinfo=UTC).timestamp()) * 10**9
        end_ns = hours.until(now_ns)
        if not hours.contain(now_ns):
            assert end_ns == now_ns
            return
        assert now_ns < end_ns <= now_ns + 9 * 86400 * 10**9
        assert hours.contain(end_ns - SECOND_NS)
        assert not hours.contain(end_ns) or end_ns > now_ns + 6 * 86400 * 10**9, "what has a gap has an end"


class TestRotas:
    ROTA = Rota("mechanics", STOCKHOLM, ("anna", "bo", "cleo"), handover=8 * 60, first=date(2026, 1, 5))

    def test_the_first_one_has_the_first_week_from_the_handover_on(self) -> None:
        assert self.ROTA.on_call(at("2026-01-05T08:00:00")) == "anna"
        assert self.ROTA.on_call(at("2026-01-05T07:59:59")) == "cleo"

    def test_each_has_a_week_and_then_it_begins_anew(self) -> None:
        monday = datetime(2026, 1, 5, 9)  # noqa: DTZ001 - it is local
        turns = [self.ROTA.on_call(at((monday + timedelta(weeks=week)).isoformat())) for week in range(5)]
        assert turns == ["anna", "bo", "cleo", "anna", "bo"]

    def test_a_handover_in_the_middle_of_the_week(self) -> None:
        rota = Rota("r", STOCKHOLM, ("anna", "bo"), handover=(4 * 24 + 16) * 60, first=date(2026, 1, 5))
        assert rota.on_call(at("2026-01-09T15:59:59")) == "bo"
        assert rota.on_call(at("2026-01-09T16:00:00")) == "anna"

    def test_it_keeps_its_local_hour_when_the_clocks_change(self) -> None:
        assert self.ROTA.on_call(at("2026-03-30T07:59:00")) != self.ROTA.on_call(at("2026-03-30T08:00:00"))
