"""Baselines that people set or want learned anew: written down first, and there after a crash."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED
from gateway.domain.detection.rules import Rules, Threshold
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError
from tests.readings import FIXED, NOON_NS, Plant, plant, reading

LEARNING = Rules(learning_readings=5, learning_ns=0, settling_ns=0)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path, LEARNING) as made:
        made.take(*(reading(second, 4.0 + 0.01 * (second % 3)) for second in range(6)))
        yield made


def level(here: Plant) -> float | None:
    """Return the baseline that the last reading was compared with."""
    baseline: float | None = here.contents()["readings"][-1].baseline
    return baseline


def test_what_is_set_holds_from_the_next_reading_on_and_after_a_crash(here: Plant) -> None:
    fact = here.pipeline.set_baseline("VB-1", 9.0, by="Ada", reason="new bearing", time_ns=NOON_NS)
    assert (fact.type, fact.data["by"], fact.data["comment"]) == ("BaselineSet", "Ada", "new bearing")
    here.take(reading(10, 9.0))
    assert level(here) == 9.0
    here.crash()
    here.take(reading(11, 9.0))
    assert level(here) == 9.0
    here.pipeline.snapshot()
    here.crash()
    here.take(reading(12, 9.0))
    assert level(here) == 9.0


def test_relearning_begins_at_that_reading_after_a_crash_too(here: Plant) -> None:
    here.pipeline.relearn("VB-1", by="Ada", time_ns=NOON_NS)
    here.take(*(reading(10 + second, 9.0 + 0.01 * (second % 3)) for second in range(3)))
    assert level(here) is None
    here.crash()
    here.take(*(reading(20 + second, 9.0 + 0.01 * (second % 3)) for second in range(4)))
    assert level(here) == pytest.approx(9.0, abs=0.05)


def test_an_alert_that_is_open_at_a_relearn_ends_when_the_level_is_normal_again(here: Plant) -> None:
    """Until it is known what that is, it stays open."""
    here.take(*(reading(10 + second, 9.0 + 0.01 * (second % 3)) for second in range(3)))
    assert here.changes() == [(RAISED, "warning")]
    here.pipeline.relearn("VB-1", by="Ada", time_ns=NOON_NS)
    here.take(*(reading(20 + second, 8.0 + 0.01 * (second % 3)) for second in range(4)))
    here.crash()
    assert here.changes() == [(RAISED, "warning")]
    here.take(*(reading(30 + second, 8.0 + 0.01 * (second % 3)) for second in range(4)))
    assert here.changes() == [(RAISED, "warning"), (CLEARED, "warning")]


@pytest.mark.parametrize("crashes", [False, True], ids=["running", "restarted"])
def test_an_alert_that_is_open_at_a_relearn_can_still_escalate_by_another_limit(
    tmp_path: Path, *, crashes: bool
) -> None:
    """What it was raised for says no more about it: there is nothing to compare the level with."""
    with plant(tmp_path, msgspec.structs.replace(LEARNING, thresholds=(Threshold("velocity_rms", 2.0, 4.0),))) as here:
        here.take(*(reading(second, 4.0 + 0.01 * (second % 3)) for second in range(6)))
        here.take(*(reading(10 + second, 9.0 + 0.01 * (second % 3)) for second in range(3)))
        here.pipeline.relearn("VB-1", by="Ada", time_ns=NOON_NS)
        if crashes:
            here.crash()
        here.take(*(reading(20 + second, 9.0 + 0.01 * (second % 3), velocityRms=5.0) for second in range(3)))
        assert here.changes() == [(RAISED, "warning"), (ESCALATED, "critical")]
        (escalated,) = [fact for _, fact in here.contents()["facts"] if fact.type == ESCALATED]
        assert escalated.data["finding"] == "velocity RMS 5.0 mm/s, critical limit 4.0, for 3 readings in 2 s"


def test_it_may_end_in_any_state_after_all_are_learned_anew(here: Plant) -> None:
    here.pipeline.set_baseline("VB-1", 4.0, state="fast", by="Ada", time_ns=NOON_NS)
    here.take(*(reading(10 + second, 12.0, operatingState="fast") for second in range(3)))
    here.pipeline.relearn("VB-1", by="Ada", time_ns=NOON_NS)
    here.take(*(reading(20 + second, 4.0 + 0.01 * (second % 3), operatingState="turbo") for second in range(9)))
    assert here.changes() == [(RAISED, "critical"), (CLEARED, "critical")]


def test_an_alert_ends_though_its_configured_baseline_is_taken_out(tmp_path: Path) -> None:
    with plant(tmp_path, FIXED) as here:
        here.take(*(reading(second, 12.0 + 0.01 * (second % 3)) for second in range(3)))
        here.pipeline.snapshot()
        here.rules = LEARNING
        here.crash()
        here.take(*(reading(10 + second, 4.0 + 0.01 * (second % 3)) for second in range(4)))
        assert here.changes() == [(RAISED, "critical")]
        here.take(*(reading(20 + second, 4.0 + 0.01 * (second % 3)) for second in range(4)))
        assert here.changes() == [(RAISED, "critical"), (CLEARED, "critical")]


def test_the_old_versions_stay(here: Plant) -> None:
    here.pipeline.set_baseline("VB-1", 9.0, state="Fast", by="Ada", time_ns=NOON_NS)
    here.pipeline.relearn("VB-1", state="fast", by="Bob", time_ns=NOON_NS + 1)
    with here.reader() as reader:
        facts = reader.baseline_facts("VB-1")
        assert reader.baseline_facts("nobody") == []
    assert [(fact.type, fact.data["state"]) for fact in facts] == [
        ("BaselineLearned", ""), ("BaselineSet", "fast"), ("BaselineRelearn", "fast"),
    ]  # fmt: skip


def test_what_cannot_be_is_refused_and_changes_nothing(here: Plant) -> None:
    before = here.contents()
    with pytest.raises(NotFoundError, match="no sensor 'nobody' has published yet"):
        here.pipeline.relearn("nobody", by="Ada", time_ns=NOON_NS)
    with pytest.raises(ValueError, match="above zero"):
        here.pipeline.set_baseline("VB-1", 0.0, by="Ada", time_ns=NOON_NS)
    assert here.contents() == before


def test_a_configured_baseline_comes_first(tmp_path: Path) -> None:
    with plant(tmp_path, FIXED) as here:
        here.take(reading())
        with pytest.raises(ConflictError, match="the configuration sets the baseline"):
            here.pipeline.set_baseline("VB-1", 9.0, by="Ada", time_ns=NOON_NS)


def test_what_cannot_be_written_does_not_hold(here: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise JournalUnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(here.journal, "write", full)
        with pytest.raises(JournalUnavailableError):
            here.pipeline.set_baseline("VB-1", 9.0, by="Ada", time_ns=NOON_NS)
    here.take(reading(10, 4.0))
    assert level(here) == pytest.approx(4.0, abs=0.05)
