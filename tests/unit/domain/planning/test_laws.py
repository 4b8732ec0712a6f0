"""What holds whatever happens: nobody is told twice, nobody is forgotten, and a restart changes nothing."""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model.events import Severity
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.oncall import Hours
from gateway.domain.notification.routing import EscalationStep, Route
from gateway.domain.notification.silences import Silence
from tests.examples import examples
from tests.unit.domain.planning.facts import HOUR, MINUTE, NOON, Watched, fact, shelved

UTC = ZoneInfo("UTC")
ROUTES = (
    Route("warning", ("mail",), resolved=True, repeat_ns=HOUR, steps=(EscalationStep(20 * MINUTE, ("sms", "boss")),)),
    Route(
        "warning", ("chat", "mail"), matchers=Matchers(machines=("m1",)), quiet=Hours(UTC, start=13 * 60, end=15 * 60)
    ),
    Route("critical", ("sms", "mail"), group_by="none"),
)
WINDOW = Silence("w", Matchers(machines=("m2",)), "anna", "", hours=Hours(UTC, start=12 * 60 + 30, end=13 * 60))
CHANGES = ("raised", "escalated", "cleared")
CONFIGURED = {"shelve", "silence", "maintenance", "routes"}

step = st.tuples(
    st.sampled_from(["raise", "raise", "escalate", "clear", "clear", "ack", "shelve", "silence", "expire", "restart"]),
    st.integers(0, 5),
    st.sampled_from([0, 1, 5, 40, 300, 1500]),
)


class Plant:
    """Six sensors on two machines, whose alerts come and go as a test says."""

    def __init__(self) -> None:
        self.now_ns = NOON
        self.open: dict[int, tuple[str, Severity]] = {}
        self.acknowledged: set[str] = set()
        self.count = 0

    def apply(self, seen: Watched, what: str, sensor: int, seconds: int, *, restarts: bool) -> None:
        self.now_ns += seconds * 10**9
        alert, severity = self.open.get(sensor, ("", "warning"))
        if what == "raise" and not alert:
            self.count += 1
            self.open[sensor] = f"a{self.count}", "critical" if sensor == 0 else "warning"
            self._take(seen, "raised", sensor)
        elif what == "escalate" and alert and severity == "warning":
            self.open[sensor] = alert, "critical"
            self.acknowledged.discard(alert)
            self._take(seen, "escalated", sensor)
        elif what == "clear" and alert:
            self._take(seen, "cleared", sensor)
            del self.open[sensor]
        elif what == "ack" and alert:
            self.acknowledged.add(alert)
            self._take(seen, "acknowledged", sensor)
        elif what == "shelve" and alert:
            known = {"acknowledged": alert in self.acknowledged, **self._where(sensor)}
            seen.take(shelved(alert, self.now_ns, self.now_ns + HOUR, **known))
        elif what == "silence":
            machine = f"m{sensor % 2 + 1}"
            id_ = f"{machine} at {self.now_ns}"  # its content's, as in the gateway
            silence = Silence(id_, Matchers(machines=(machine,)), "bo", "", self.now_ns, self.now_ns + HOUR)
            seen.silence(silence, self.now_ns)
        elif what == "expire" and (holding := [id_ for id_, one in seen.added.items() if one.until(self.now_ns)]):
            seen.unsilence(holding[-1], self.now_ns)
        elif what == "restart" and restarts:
            seen.pass_until(self.now_ns)
            seen.restart()

    def _take(self, seen: Watched, what: str, sensor: int) -> None:
        alert, severity = self.open[sensor]
        seen.take(fact(what, alert, self.now_ns, severity=severity, **self._where(sensor)))

    def _where(self, sensor: int) -> dict[str, Any]:
        return {"sensor": f"s{sensor}", "machine": f"m{sensor % 2 + 1}"}


def run(steps: list[tuple[str, int, int]], *, restarts: bool = False) -> Watched:
    seen, plant = Watched(*ROUTES, noise=Noise(flood_count=4, flood_end=2), standing=(WINDOW,)), Plant()
    for what, sensor, seconds in steps:
        plant.apply(seen, what, sensor, seconds, restarts=restarts)
    for sensor in list(plant.open):
        plant.apply(seen, "clear", sensor, 0, restarts=False)
    seen.pass_until(plant.now_ns + 4 * HOUR)
    return seen


@examples(200)
@given(st.lists(step, max_size=60))
def test_nobody_is_told_of_a_change_twice_and_every_message_has_its_own_id(steps: list[tuple[str, int, int]]) -> None:
    seen = run(steps)
    told = Counter(
        (change, one.handler) for one in seen.messages if one.kind in {*CHANGES, "digest"} for _, change in one.changes
    )
    assert not [pair for pair, count in told.items() if count > 1]
    assert len({one.id for one in seen.messages}) == len(seen.messages)


@examples(200)
@given(st.lists(step, max_size=60))
def test_what_is_not_told_has_a_reason_and_what_is_critical_one_that_a_person_gave(
    steps: list[tuple[str, int, int]],
) -> None:
    seen, plant = Watched(*ROUTES, noise=Noise(flood_count=4, flood_end=2), standing=(WINDOW,)), Plant()
    changes: dict[str, str] = {}
    take = seen.take

    def noting(*facts: Any) -> None:
        changes.update({one.id: one.data["severity"] for one in facts if one.type in {"AlertRaised", "AlertEscalated"}})
        take(*facts)

    seen.take = noting  # type: ignore[method-assign] # it only looks on
    for what, sensor, seconds in steps:
        plant.apply(seen, what, sensor, seconds, restarts=False)
    for sensor in list(plant.open):
        plant.apply(seen, "clear", sensor, 0, restarts=False)
    seen.pass_until(plant.now_ns + 4 * HOUR)
    told = {change for one in seen.messages for _, change in one.changes}
    reasons: dict[str, set[str]] = {}
    for one in seen.withheld:
        if not one.deferred:
            reasons.setdefault(one.item.change, set()).add(one.by)
    for change, severity in changes.items():
        assert change in told or reasons.get(change), "somebody was forgotten"
        if severity == "critical" and change not in told:
            assert reasons[change] & (CONFIGURED | {"over"})
    assert not [key for key in seen.records if key[0] == "case"], "what is over is still remembered"


@examples(200)
@given(st.lists(step, max_size=60))
def test_a_restart_at_any_moment_changes_nothing(steps: list[tuple[str, int, int]]) -> None:
    gaps = [(what if what != "restart" else "none", sensor, seconds) for what, sensor, seconds in steps]
    once, again = run(gaps), run(steps, restarts=True)
    assert again.messages == once.messages
    assert again.withheld == once.withheld
