"""What changes for good: a level that has fallen, stands still without a word, or keeps jumping; rare readings."""

import random
from dataclasses import dataclass, field

import pytest

from gateway.domain.detection.rules import DAY_NS, Rules
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from tests.readings import NOON_NS
from tests.unit.domain.test_engine import recorded, take

HOUR = 3600


@dataclass
class Life:
    """A sensor that is read every ten minutes, or as it is said, by the rules as they are shipped."""

    every: int = 600
    rules: Rules = field(default_factory=Rules)
    second: int = 0

    def __post_init__(self) -> None:
        self.one = Sensor(1, "VB-1", {"machine": "pump-7"}, "m/s²", "", NOON_NS, SensorState())
        self.engine = Engine(lambda _: self.rules, Clocks(10**15))
        self.engine.set_state([self.one], [])
        self.chance = random.Random(7)

    def live(self, days: float, level: float, *, share: float = 0.0, jump: float = 1.0) -> list[tuple[str, set[str]]]:
        """Return (fact, faults) for each change of an alert."""
        found = []
        for _ in range(round(days * 86400 / self.every)):
            self.second += self.every
            value = level * self.chance.lognormvariate(0, 0.05) * (jump if self.chance.random() < share else 1)
            changes = take(self.engine, self.one, recorded(self.second, value))
            found += [(each.fact.type, set(each.alert.faults)) for each in changes if each.alert is not None]
        return found


def test_a_level_that_falls_for_good_is_told_and_what_follows_is_judged_by_it() -> None:
    life = Life()
    assert life.live(20, 2.0) == []
    assert life.live(4, 1.0) == [("AlertRaised", {"fallen"})]
    assert life.live(10, 1.0) == [("AlertCleared", set())], "by now that is what is normal"
    assert life.live(1, 1.9)[0] == ("AlertRaised", set()), "which it would not be by what was normal before"


def test_one_that_comes_back_has_what_was_normal_before() -> None:
    life = Life()
    life.live(20, 2.0)
    before = life.one.state.learned
    assert life.live(4, 1.0) == [("AlertRaised", {"fallen"})]
    life.live(0.2, 2.0)
    assert life.one.state.learned is before
    assert life.one.state.faults == 0


@pytest.mark.parametrize("days", [2, 2.5])
def test_a_long_weekend_is_no_fall(days: float) -> None:
    life = Life()
    assert life.live(20, 2.0) + life.live(days, 1.0) + life.live(5, 2.0) + life.live(days, 1.0) == []


def test_standing_still_for_a_week_without_a_word_may_be_a_sensor_that_has_come_off() -> None:
    life = Life()
    life.live(20, 2.0)
    assert life.live(6.9, 0.01) == []
    assert life.live(0.5, 0.01) == [("AlertRaised", {"still"})]
    assert life.live(0.1, 2.0)[0] == ("AlertCleared", set())


@pytest.mark.parametrize(("share", "jump"), [(0.15, 2.0), (0.3, 4.0)])
def test_readings_that_keep_jumping_are_a_warning_however_short_their_rows(share: float, jump: float) -> None:
    life = Life(every=60)
    life.live(20, 2.0)
    assert life.live(1, 2.0, share=share, jump=jump)[0] == ("AlertRaised", set())


def test_a_handful_of_spikes_is_none() -> None:
    life = Life(every=60)
    life.live(20, 2.0)
    assert life.live(3, 2.0, share=0.01, jump=4.0) == []


def test_one_reading_a_day_is_watched_after_ten() -> None:
    life = Life(every=86400)
    assert life.live(12, 2.0) == []
    assert life.one.state.learned is not None
    assert life.live(4, 6.0)[0] == ("AlertRaised", set())


def test_runs_of_one_reading_in_six_are_learned_and_make_a_row() -> None:
    life = Life()

    def runs(days: int, level: float) -> list[tuple[str, set[str]]]:
        found = []
        for _ in range(days * 24):
            found += life.live(5 / 144, 0.02) + life.live(1 / 144, level)
        return found

    assert runs(10, 2.0) == []
    assert life.one.state.learned is not None
    assert life.one.state.learned.level > 1.5
    assert runs(1, 5.2)[0] == ("AlertRaised", set())


def test_each_can_be_switched_off() -> None:
    life = Life(rules=Rules(fall_ratio=0, still_after_ns=0, jumping_share=0))
    life.live(20, 2.0)
    assert life.live(10, 1.0) + life.live(10, 0.01) == []
    assert Rules().fall_after_ns == 3 * DAY_NS
