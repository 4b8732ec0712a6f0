"""Our own clock ahead, for one start or for years: nothing goes by it that the journal says is young."""

from pathlib import Path

import pytest

from gateway.config import RetentionSection
from gateway.domain.model.reading import Flag
from gateway.journal import Upkeep
from gateway.journal.maintenance.our_clock import PAUSE_NS, TOLERANCE_NS, clock_problem, latest_believable
from tests.readings import NOON_NS, SECOND, event, message, plant

YEARS_NS = 3 * 365 * TOLERANCE_NS


def newest(behind_ns: int = 0, flags: int = 0, at_ns: int = NOON_NS) -> list[tuple[int, int, int]]:
    return [(at_ns + second * SECOND, at_ns + second * SECOND + behind_ns, flags) for second in range(50)]


@pytest.mark.parametrize(
    ("now_ns", "rows", "latest_ns"),
    [
        (NOON_NS + 60 * SECOND, newest(), NOON_NS + 60 * SECOND),
        (NOON_NS + YEARS_NS, newest(YEARS_NS), NOON_NS + 24 * SECOND + 500_000_000 + TOLERANCE_NS),
        (NOON_NS + YEARS_NS, newest(flags=Flag.CLOCK_REPLACED, at_ns=NOON_NS + YEARS_NS), NOON_NS + PAUSE_NS),
        (NOON_NS + YEARS_NS, newest(at_ns=NOON_NS + YEARS_NS), NOON_NS + PAUSE_NS),
    ],
    ids=["they agree", "sensors' clocks disagree", "sensors have no clocks", "inputs take ours"],
)
def test_no_later_than_the_journal_makes_believable(
    now_ns: int, rows: list[tuple[int, int, int]], latest_ns: int
) -> None:
    assert latest_believable(now_ns, rows, NOON_NS) == latest_ns


def test_what_sensors_say_is_told_and_nothing_else() -> None:
    assert clock_problem(newest(3600 * SECOND)) is None
    assert clock_problem(newest(YEARS_NS, Flag.LATE)) is None
    assert "1095 d behind" in (clock_problem(newest(YEARS_NS)) or "")


async def test_a_clock_that_is_ahead_deletes_nothing_and_is_told_of(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        here.take(*(message(event(second)) for second in range(3)))
        said: list[str | None] = []

        async def report(subject: str, problem: str | None, _severity: str = "warning", /) -> None:
            assert subject == "clock"
            said.append(problem)

        upkeep = Upkeep(here.journal, None, tmp_path, RetentionSection(), here.pipeline.snapshot)  # type: ignore[arg-type]
        assert await upkeep.believable(NOON_NS + YEARS_NS, report) < NOON_NS + 2 * TOLERANCE_NS
        assert said == [None]
        ahead = YEARS_NS // SECOND
        here.take(*(message(event(10 + second), second=ahead + second) for second in range(10)))
        assert await upkeep.believable(NOON_NS + YEARS_NS, report) < NOON_NS + 2 * TOLERANCE_NS
        assert said[1] is not None
