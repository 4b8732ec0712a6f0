"""What people do with alerts, and alerts that stay until somebody does: shelving, acknowledging, latching."""

import pytest
from msgspec.structs import replace

from gateway.domain.alerting.alert import (
    ACKNOWLEDGED,
    ACTIVE,
    CLEARED,
    ESCALATED,
    RAISED,
    RETURNED,
    SHELVED,
    UNSHELVED,
    Alert,
)
from gateway.domain.alerting.liveness import SHELVING, TIME_PASSED, Reception
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import ConflictError, NotFoundError, RefusedError
from tests.readings import FIXED, NOON_NS, SECOND
from tests.unit.domain.test_engine import DAY_US, recorded, sensor, take, types

HOUR = 3600 * SECOND
DAY = 24 * HOUR


class Plant:
    """One sensor with its engine, and somebody who looks after it."""

    def __init__(self, rules: Rules = FIXED) -> None:
        self.sensor: Sensor = sensor()
        self.engine = Engine(lambda _: rules, Clocks(DAY_US))
        self.engine.set_state([self.sensor], [])
        self._second = 0

    def measure(self, level: float, count: int = 3) -> list[Change]:
        seconds = range(self._second, self._second + count)
        self._second += count
        return take(self.engine, self.sensor, *(recorded(second, level) for second in seconds))

    def settle(self, changes: list[Change]) -> list[Change]:
        for change in changes:
            if change.alert is not None:
                self.engine.alerts.settle(change.alert)
        return changes

    def ack(self, alert: Alert) -> list[Change]:
        return self.settle(self.engine.alerts.acknowledge(alert.id, "anna", "on my way", NOON_NS))

    def shelve(self, alert: Alert, for_ns: int = HOUR) -> list[Change]:
        return self.settle(self.engine.alerts.shelve(alert.id, for_ns, "anna", "ordered", NOON_NS))

    def unshelve(self, alert: Alert) -> list[Change]:
        return self.settle(self.engine.alerts.unshelve(alert.id, "bert", "", NOON_NS))

    def at(self, now_ns: int) -> list[Change]:
        facts = self.engine.overdue(NOON_NS + now_ns, Reception())
        return [change for fact in facts for change in (Change(fact), *self.engine.time_passed(fact))]

    def restart(self, *alerts: Alert) -> None:
        self.engine.set_state([self.sensor], alerts)
        self.engine.trust_alerts()


def raised(plant: Plant, level: float = 7.0) -> Alert:
    return alert_of(plant.measure(level)[-1])


def alert_of(change: Change) -> Alert:
    assert change.alert is not None
    return change.alert


class TestShelving:
    def test_it_has_an_owner_a_reason_and_an_end(self) -> None:
        plant = Plant()
        alert = raised(plant)
        (change,) = plant.shelve(alert)
        shelved = alert_of(change)
        assert (shelved.shelved_until_ns, shelved.shelved_by, shelved.state) == (NOON_NS + HOUR, "anna", "active")
        assert change.fact.type == SHELVED
        assert (change.fact.data["by"], change.fact.data["comment"]) == ("anna", "ordered")
        assert change.fact.data["finding"] == f"Shelved by anna for 1 h, until {rfc3339(NOON_NS + HOUR)}: ordered"
        assert plant.engine.alerts.get("machine", "VB-1") == shelved

    def test_its_end_is_an_event(self) -> None:
        plant = Plant()
        shelved = alert_of(plant.shelve(raised(plant))[0])
        assert plant.at(HOUR - 1) == []
        passed, over = plant.at(HOUR)
        assert (passed.fact.type, passed.fact.data["what"]) == (TIME_PASSED, SHELVING)
        assert (over.fact.type, over.fact.causation_id, alert_of(over).id) == (UNSHELVED, passed.fact.id, shelved.id)
        assert (over.fact.data["shelvedUntil"], over.fact.data["finding"]) == (None, "The time on the shelf is over.")
        assert plant.at(2 * HOUR) == []

    def test_a_person_ends_it_too(self) -> None:
        plant = Plant()
        shelved = alert_of(plant.shelve(raised(plant))[0])
        (change,) = plant.unshelve(shelved)
        assert (change.fact.type, change.fact.data["by"]) == (UNSHELVED, "bert")
        assert plant.at(HOUR) == []
        with pytest.raises(ConflictError, match="not shelved"):
            plant.unshelve(shelved)

    def test_what_is_raised_again_meanwhile_takes_its_place(self) -> None:
        plant = Plant()
        first = alert_of(plant.shelve(raised(plant))[0])
        (cleared,) = plant.measure(4.0)
        assert alert_of(cleared).state == "cleared"
        passed_on, again = plant.measure(7.0)
        assert types([passed_on, again]) == [UNSHELVED, RAISED]
        assert alert_of(passed_on).id == first.id
        assert alert_of(again).id != first.id
        assert again.fact.data["shelvedUntil"] == rfc3339(NOON_NS + HOUR)
        _, over = plant.at(HOUR)
        assert alert_of(over).id == alert_of(again).id

    def test_after_its_end_what_is_raised_is_not_shelved(self) -> None:
        plant = Plant()
        shelved = alert_of(plant.shelve(raised(plant))[0])
        plant.measure(4.0)
        _, over = plant.at(HOUR)
        assert (alert_of(over).id, alert_of(over).state) == (shelved.id, "cleared")
        assert alert_of(plant.measure(7.0)[-1]).shelved_until_ns is None

    def test_what_has_cleared_can_be_taken_off_too(self) -> None:
        plant = Plant()
        shelved = alert_of(plant.shelve(raised(plant))[0])
        plant.measure(4.0)
        (change,) = plant.unshelve(shelved)
        assert alert_of(change).state == "cleared"
        assert alert_of(plant.measure(7.0)[-1]).shelved_until_ns is None

    def test_a_restart_remembers_the_shelf(self) -> None:
        plant = Plant()
        plant.shelve(raised(plant))
        cleared = alert_of(plant.measure(4.0)[0])
        plant.restart(cleared)
        assert types(plant.measure(7.0)) == [UNSHELVED, RAISED]

    def test_what_becomes_worse_leaves_the_shelf(self) -> None:
        plant = Plant()
        plant.shelve(raised(plant))
        escalated, off = plant.measure(12.0)
        assert types([escalated, off]) == [ESCALATED, UNSHELVED]
        assert off.fact.data["shelvedUntil"] is None
        assert plant.at(HOUR) == []

    def test_and_so_does_what_is_raised_worse(self) -> None:
        plant = Plant()
        plant.shelve(raised(plant))
        plant.measure(4.0)
        changes = plant.measure(12.0)
        assert types(changes) == [UNSHELVED, RAISED, UNSHELVED]
        assert alert_of(changes[-1]).shelved_until_ns is None
        assert len({change.fact.id for change in changes}) == 3

    def test_a_critical_one_stays_on_the_shelf(self) -> None:
        plant = Plant()
        plant.shelve(raised(plant, 12.0))
        plant.measure(4.0)
        assert alert_of(plant.measure(12.0)[-1]).shelved_until_ns is not None

    def test_another_kind_of_the_same_sensor_is_not_shelved(self) -> None:
        plant = Plant()
        plant.shelve(raised(plant))
        cause = plant.engine.watch.cause("VB-1", "e", "e", NOON_NS)
        (fault,) = plant.engine.alerts.faults({"silent": "It is silent."}, cause)
        assert alert_of(fault).shelved_until_ns is None

    def test_the_gateways_own_alerts_too(self) -> None:
        plant = Plant()
        _, change = plant.settle(plant.engine.alerts.condition("influxdb", "warning", "401", NOON_NS))
        plant.shelve(alert_of(change))
        plant.settle(plant.engine.alerts.condition("influxdb", None, "well", NOON_NS + 1))
        again = plant.settle(plant.engine.alerts.condition("influxdb", "warning", "401", NOON_NS + 2))
        assert types(again)[1:] == [UNSHELVED, RAISED]
        assert plant.at(HOUR)[-1].fact.data["id"] == again[-1].fact.data["id"]

    def test_again_is_anew(self) -> None:
        plant = Plant()
        alert = raised(plant)
        plant.shelve(alert)
        assert alert_of(plant.shelve(alert, 3 * HOUR)[0]).shelved_until_ns == NOON_NS + 3 * HOUR

    def test_what_cannot_be(self) -> None:
        plant = Plant()
        alert = raised(plant)
        shelve = plant.engine.alerts.shelve
        for duration_ns in (0, -1, 7 * DAY + 1):
            with pytest.raises(RefusedError, match="7 d at most"):
                shelve(alert.id, duration_ns, "anna", "ordered", NOON_NS)
        for by, reason in (("", "ordered"), ("anna", ""), ("anna", "  ")):
            with pytest.raises(RefusedError, match="a reason"):
                shelve(alert.id, HOUR, by, reason, NOON_NS)
        with pytest.raises(NotFoundError):
            shelve("nobody", HOUR, "anna", "ordered", NOON_NS)
        with pytest.raises(ConflictError):
            plant.unshelve(alert)
        plant.measure(4.0)
        for change in (plant.unshelve, plant.shelve, plant.ack):
            with pytest.raises(NotFoundError):
                change(alert)


class TestLatching:
    """The level is back, but nobody has seen it yet."""

    @pytest.fixture
    def plant(self) -> Plant:
        return Plant(replace(FIXED, latching=True))

    def test_it_stays_open_until_it_is_acknowledged(self, plant: Plant) -> None:
        alert = raised(plant)
        (returned,) = plant.measure(4.0)
        assert (returned.fact.type, alert_of(returned).state) == (RETURNED, "active")
        assert returned.fact.data["returnedAt"] is not None
        assert plant.measure(4.0, 20) == []
        acknowledged, cleared = plant.ack(alert)
        assert types([acknowledged, cleared]) == [ACKNOWLEDGED, CLEARED]
        assert cleared.fact.causation_id == acknowledged.fact.id
        assert plant.engine.alerts.get("machine", "VB-1") is None

    def test_one_that_is_acknowledged_clears_by_itself(self, plant: Plant) -> None:
        plant.ack(raised(plant))
        assert types(plant.measure(4.0)) == [CLEARED]

    def test_it_comes_back_to_life_as_the_same_alert(self, plant: Plant) -> None:
        alert = raised(plant)
        changes = [*plant.measure(4.0), *plant.measure(7.0), *plant.measure(4.0), *plant.measure(12.0)]
        assert types(changes) == [RETURNED, ACTIVE, RETURNED, ESCALATED]
        assert {alert_of(change).id for change in changes} == {alert.id}
        assert alert_of(changes[-1]).returned_ns is None

    def test_a_critical_one_comes_back_as_a_warning_and_may_become_critical_again(self, plant: Plant) -> None:
        raised(plant, 12.0)
        changes = [*plant.measure(4.0), *plant.measure(7.0), *plant.measure(12.0)]
        assert types(changes) == [RETURNED, ACTIVE, ESCALATED]
        assert [alert_of(change).severity for change in changes[1:]] == ["warning", "critical"]

    def test_a_restart_knows_that_the_level_is_back(self, plant: Plant) -> None:
        raised(plant)
        (returned,) = plant.measure(4.0)
        plant.restart(alert_of(returned))
        assert plant.measure(4.0) == []
        assert types(plant.measure(7.0)) == [ACTIVE]

    def test_silence_does_not_make_it_stale(self, plant: Plant) -> None:
        """It is over already; that nobody has seen it does not change with the sensor."""
        raised(plant)
        plant.measure(4.0)
        cause = plant.engine.watch.cause("VB-1", "e", "e", NOON_NS)
        assert plant.engine.alerts.lose_sight("It is silent.", cause) == []
