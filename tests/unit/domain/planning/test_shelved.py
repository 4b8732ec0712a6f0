"""Shelving from the alert's life cycle to what people are told of it, and what they are not."""

import pytest

from gateway.domain.alerting.open_alerts import Change
from gateway.domain.notification.routing import EscalationStep, Route
from tests.readings import NOON_NS
from tests.unit.domain.planning.facts import HOUR, MINUTE, Watched
from tests.unit.domain.test_shelving import Plant, alert_of

ROUTE = Route("warning", ("mail",), resolved=True, steps=(EscalationStep(30 * MINUTE, ("boss",)),))


class Shelf:
    """A sensor with a warning that somebody shelves for an hour, and what people are told."""

    def __init__(self, *, restart: bool) -> None:
        self.plant, self.seen, self._restart = Plant(), Watched(ROUTE), restart
        raised = self.plant.measure(7.0)
        self.tell(raised)
        self.alert = alert_of(raised[-1])
        self.tell(self.plant.shelve(self.alert))

    def tell(self, changes: list[Change]) -> None:
        self.seen.take(*(change.fact for change in changes))
        if self._restart:
            self.seen.restart()

    def pass_until(self, passed_ns: int) -> None:
        self.tell(self.plant.at(passed_ns))
        self.seen.pass_until(NOON_NS + passed_ns)

    def told(self) -> list[tuple[str, str]]:
        """Return (handler, kind) of every message about the alert."""
        assert {alert for _, _, alerts in self.seen.said() for alert in alerts} == {self.alert.id}
        return [(handler, kind) for handler, kind, _ in self.seen.said()]


@pytest.fixture(params=[False, True], ids=["", "restarts"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(restart=request.param)


def test_on_the_shelf_nobody_else_is_told_and_after_it_those_who_know(shelf: Shelf) -> None:
    shelf.pass_until(59 * MINUTE)
    assert shelf.told() == [("mail", "raised")]
    shelf.pass_until(HOUR)
    assert shelf.told() == [("mail", "raised"), ("mail", "notice")]
    assert shelf.seen.messages[-1].reason.startswith("Not shelved any more, and still active: ")


def test_after_the_shelf_nobody_is_told_of_what_somebody_has_acknowledged(shelf: Shelf) -> None:
    shelf.tell(shelf.plant.ack(shelf.alert))
    shelf.pass_until(2 * HOUR)
    assert shelf.told() == [("mail", "raised")]


def test_after_the_shelf_the_time_to_acknowledge_begins_anew(shelf: Shelf) -> None:
    shelf.pass_until(HOUR)
    shelf.pass_until(HOUR + 29 * MINUTE)
    assert shelf.told() == [("mail", "raised"), ("mail", "notice")]
    shelf.pass_until(HOUR + 30 * MINUTE)
    assert shelf.told()[2:] == [("boss", "escalation")]


def test_what_becomes_worse_on_the_shelf_is_told_once_and_at_once(shelf: Shelf) -> None:
    shelf.tell(shelf.plant.measure(12.0))
    assert shelf.told() == [("mail", "raised"), ("mail", "escalated")]
    shelf.pass_until(29 * MINUTE)
    assert len(shelf.told()) == 2
    shelf.pass_until(HOUR)  # it is on the shelf no longer: nobody has acknowledged it, and there is no end to tell of
    assert shelf.told()[2:] == [("boss", "escalation")]


def test_what_clears_on_the_shelf_is_over_when_its_time_ends(shelf: Shelf) -> None:
    shelf.tell(shelf.plant.measure(4.0))
    shelf.pass_until(59 * MINUTE)
    assert shelf.told() == [("mail", "raised"), ("mail", "cleared")]
    shelf.pass_until(2 * HOUR)
    assert len(shelf.told()) == 2


def test_what_is_raised_anew_on_the_shelf_is_told_when_its_time_ends(shelf: Shelf) -> None:
    shelf.tell(shelf.plant.measure(4.0))
    again = shelf.plant.measure(7.0)
    shelf.tell(again)
    shelf.pass_until(59 * MINUTE)
    assert shelf.told() == [("mail", "raised"), ("mail", "cleared")]
    shelf.pass_until(HOUR)
    assert shelf.seen.said()[2:] == [("mail", "raised", [alert_of(again[-1]).id])]


def test_what_is_acknowledged_on_the_shelf_escalates_to_nobody(shelf: Shelf) -> None:
    shelf.tell(shelf.plant.ack(alert_of(shelf.plant.shelve(shelf.alert)[0])))
    shelf.pass_until(3 * HOUR)
    assert ("boss", "escalation") not in shelf.told()
