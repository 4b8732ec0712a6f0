"""The life of alerts as a state machine: whatever readings, people, time and restarts do, its laws hold."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from gateway.domain.alerting import alert as life
from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.liveness import Reception
from gateway.errors import ConflictError, NotFoundError, RefusedError
from tests.examples import examples
from tests.readings import FIXED, NOON_NS, SECOND, Plant, reading

MINUTE = 60 * SECOND
SENSORS = ["VB-1", "VB-2"]
names = st.sampled_from(SENSORS)
levels = st.sampled_from([4.0, 7.0, 12.0])
REFUSED = (NotFoundError, ConflictError, RefusedError)

ALLOWED: dict[str, set[str | None]] = {
    life.RAISED: {None},
    life.ESCALATED: {"active"},
    life.UPDATED: {"active"},
    life.STALE: {"active"},
    life.ACTIVE: {"stale", "active"},
    life.RETURNED: {"active"},
    life.CLEARED: {"active"},
    life.ACKNOWLEDGED: {"active", "stale"},
    life.SHELVED: {"active", "stale"},
    life.UNSHELVED: {"active", "stale", "cleared"},
}
"""Type of a fact -> the states in which an alert may be when it happens; None: there is none yet."""


class Life(RuleBasedStateMachine):
    """Two sensors, people, and a gateway that is now and then started again."""

    @initialize(latching=st.booleans())
    def start(self, latching: bool) -> None:  # noqa: FBT001 - hypothesis hands it over
        self.folder = TemporaryDirectory()
        self.here = Plant(Path(self.folder.name), replace(FIXED, latching=latching, on_readings=1, off_readings=2))
        self.now_ns = 0
        self.since_ns = 0
        self.seen = 0
        self.states: dict[str, str] = {}
        self.alerts: dict[str, dict[str, Any]] = {}

    @rule(sensor=names, level=levels, count=st.integers(1, 3))
    def measure(self, sensor: str, level: float, count: int) -> None:
        for _ in range(count):
            self.now_ns += SECOND
            self.here.take(reading(self.now_ns / SECOND, level, sensor))

    @rule(minutes=st.sampled_from([1, 6, 61, 60 * 25]))
    def wait(self, minutes: int) -> None:
        self.now_ns += minutes * MINUTE
        self._pass_time()

    @rule()
    def lose_the_broker(self) -> None:
        """And find it again after a week: nobody was silent meanwhile, and shelves are cleared."""
        self.now_ns += 7 * 24 * 60 * MINUTE
        self.since_ns = self.now_ns
        self._pass_time()

    @rule(position=st.integers(0, 5), by=st.sampled_from(["anna", "bert"]))
    def acknowledge(self, position: int, by: str) -> None:
        self._ask(lambda alerts, id_: alerts.acknowledge(id_, by, "", self._clock()), position)

    @rule(position=st.integers(0, 5), hours=st.sampled_from([0, 1, 24, 24 * 8]))
    def shelve(self, position: int, hours: int) -> None:
        duration_ns = hours * 60 * MINUTE
        self._ask(lambda alerts, id_: alerts.shelve(id_, duration_ns, "anna", "ordered", self._clock()), position)

    @rule(position=st.integers(0, 5))
    def unshelve(self, position: int) -> None:
        self._ask(lambda alerts, id_: alerts.unshelve(id_, "anna", "", self._clock()), position)

    @rule(snapshot=st.booleans())
    def crash(self, snapshot: bool) -> None:  # noqa: FBT001 - hypothesis hands it over
        if snapshot:
            self.here.pipeline.snapshot()
        self.here.crash()
        self.since_ns = self.now_ns

    @invariant()
    def every_change_is_allowed_and_follows_from_the_one_before(self) -> None:
        with self.here.reader() as reader:
            step = reader.step(self.seen, 10_000, readings=False)
            self.seen = step.until
            stored = {alert.id: alert for alert in reader.alerts(everything=True)}
        ids = [entry.fact.id for entry in step.entries]
        assert len(set(ids)) == len(ids)
        for entry in step.entries:
            if entry.fact.type in life.ALERT_FACTS:
                self._follow(entry.fact.type, entry.fact.data)
        self._agrees_with(stored)

    @invariant()
    def one_open_alert_for_each_sensor_and_kind(self) -> None:
        open_ = [(data["kind"], data["sensorId"]) for data in self.alerts.values() if data["state"] != "cleared"]
        assert len(set(open_)) == len(open_)

    @invariant()
    def a_stale_alert_has_a_sensor_at_fault(self) -> None:
        at_fault = {data["sensorId"] for data in self.alerts.values() if data["faults"] and data["state"] != "cleared"}
        stale = {data["sensorId"] for data in self.alerts.values() if data["state"] == "stale"}
        assert stale <= at_fault
        live = {
            data["sensorId"]
            for data in self.alerts.values()
            if (data["kind"], data["state"]) == ("machine", "active") and data["returnedAt"] is None
        }
        assert not live & at_fault

    def teardown(self) -> None:
        self.here.journal.close()
        self.folder.cleanup()

    def _follow(self, type_: str, data: dict[str, Any]) -> None:
        before = self.alerts.get(data["id"])
        assert (before["state"] if before else None) in ALLOWED[type_], (type_, before)
        if type_ in {life.RETURNED, life.STALE} and before is not None:
            assert before["returnedAt"] is None
        if type_ == life.RAISED:
            key = data["kind"], data["sensorId"]
            others = [other for other in self.alerts.values() if (other["kind"], other["sensorId"]) == key]
            assert not [other for other in others if other["shelvedUntil"]], (
                "it should have taken the place on the shelf"
            )
        if type_ == life.ACTIVE and before is not None:
            assert before["state"] == "stale" or before["returnedAt"]
        if type_ == life.CLEARED and before is not None and before["returnedAt"]:
            assert data["acknowledged"], "a latched alert goes with its acknowledgement only"
        if before is not None and data["shelvedUntil"] != before["shelvedUntil"]:
            assert type_ in {life.SHELVED, life.UNSHELVED}
        self.alerts[data["id"]] = data

    def _agrees_with(self, stored: dict[str, Alert]) -> None:
        """The table of alerts says what the facts say."""
        shown = {id_: life.describe(alert) for id_, alert in stored.items()}
        said = {
            id_: {key: value for key, value in data.items() if key in next(iter(shown.values()))}
            for id_, data in self.alerts.items()
        }
        assert shown == said

    def _pass_time(self) -> None:
        self.here.pipeline.pass_time(self._clock(), Reception(self.now_ns, self.since_ns))

    def _clock(self) -> int:
        return NOON_NS + self.now_ns

    def _ask(self, change: Any, position: int) -> None:
        """Ask for a change of one of the last alerts; if it is refused, nothing has changed."""
        ids = list(self.alerts)[-6:]
        if not ids:
            return
        before = self.here.journal.next_seq
        try:
            self.here.pipeline.attend(lambda alerts: change(alerts, ids[position % len(ids)]), self._clock())
        except REFUSED:
            assert self.here.journal.next_seq == before


TestLife = Life.TestCase
TestLife.settings = settings(examples(40), stateful_step_count=40)
