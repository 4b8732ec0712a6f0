"""Hours of the week and weekly turns, in a time zone: what a route, quiet hours, a window and a rota are made of.

Wall-clock times are local. Where a clock change skips the time at which a span ends, it ends with the change; where one
repeats an hour, both belong to the span.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
DAY_MINUTES = 24 * 60
_SECOND_NS = 10**9
_DAY = timedelta(days=1)


class Hours(Struct, frozen=True):
    """From `start` to before `end`, in minutes of the local day, on `days` (0 is Monday).

    With `start` after `end` they last into the next day, and belong to the day on which they begin.
    """

    zone: ZoneInfo
    days: frozenset[int] = EVERY_DAY
    start: int = 0
    end: int = DAY_MINUTES

    def contain(self, now_ns: int) -> bool:
        """Tell whether a moment lies in these hours."""
        return self._began(self._local(now_ns)) is not None

    def until(self, now_ns: int) -> int:
        """Return when the hours that contain `now_ns` end, in ns; hours that follow without a gap count as one."""
        local = self._local(now_ns)
        end_ns = now_ns
        for _ in range(8):  # a week round the clock has no end worth waiting for
            began = self._began(local)
            if began is None:
                break
            end_ns = self._instant(began + (_DAY if self.end <= self.start else timedelta()), end_ns)
            local = self._local(end_ns)
        return end_ns

    def _began(self, local: datetime) -> date | None:
        """Return the day on which the hours that contain a local time began, or None."""
        today, minute = local.date(), local.hour * 60 + local.minute
        overnight = self.end <= self.start
        if today.weekday() in self.days and minute >= self.start and (overnight or minute < self.end):
            return today
        yesterday = today - _DAY
        return yesterday if overnight and minute < self.end and yesterday.weekday() in self.days else None

    def _instant(self, day: date, after_ns: int) -> int:
        """Return the moment of `end` on a local day; if the clock shows it twice, the first that is not past."""
        midnight = datetime.combine(day, time(), self.zone) + timedelta(minutes=self.end)
        first, second = (_ns(midnight.replace(fold=fold)) for fold in (0, 1))
        if second < first:  # the clock skips it
            first = self._change(second, first)
        return first if first > after_ns else max(second, after_ns + 60 * _SECOND_NS)

    def _change(self, before_ns: int, after_ns: int) -> int:
        """Return the moment between two at which the clock is changed."""
        seconds = range(before_ns // _SECOND_NS, after_ns // _SECOND_NS)
        old = self._local(before_ns).utcoffset()
        changed = bisect_left(seconds, x=True, key=lambda second: self._local(second * _SECOND_NS).utcoffset() != old)
        return before_ns + changed * _SECOND_NS

    def _local(self, now_ns: int) -> datetime:
        return datetime.fromtimestamp(now_ns // _SECOND_NS, self.zone)


class Rota(Struct, frozen=True):
    """Whose turn it is: one handler a week, from `handover` on (minutes since Monday 00:00, local), in this order.

    The week in which `first` lies is the first one's.
    """

    name: str
    zone: ZoneInfo
    handlers: tuple[str, ...]
    handover: int = 0
    first: date = date(2024, 1, 1)

    def on_call(self, now_ns: int) -> str:
        """Return whose turn it is."""
        local = datetime.fromtimestamp(now_ns // _SECOND_NS, self.zone).replace(tzinfo=None)
        return self.handlers[(_week(local - timedelta(minutes=self.handover)) - _week(self.first)) % len(self.handlers)]


def _week(day: date) -> int:
    """Return the number of a week that begins on Monday: 1 January of the year 1 was one."""
    return (day.toordinal() - 1) // 7


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _SECOND_NS
