"""Alerts are open while the configuration becomes another one: what was to follow does, if it is still configured."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.notification.flood import Noise
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.oncall import Hours, Rota
from gateway.domain.notification.routing import EscalationStep, Route, RouteTable
from gateway.domain.notification.silences import Silence
from gateway.domain.notification.state import AlertNotificationState, PlannerState
from tests.examples import examples
from tests.unit.domain.planning.facts import HOUR, MINUTE, NOON, SECOND, Watched, fact
from tests.unit.domain.planning.test_laws import Plant

UTC = ZoneInfo("UTC")
ROUTE = Route(
    "warning",
    ("mail",),
    name="r",
    steps=(EscalationStep(15 * MINUTE, ("sms",)), EscalationStep(30 * MINUTE, ("boss",))),
    repeat_ns=HOUR,
)
SERVICE = Silence("svc", Matchers(machines=("pump-1",)), "Anna", "service", 0, NOON + 400 * 24 * HOUR)


def told(*routes: Route) -> Watched:
    """Return a planner with an alert that people know of, taken up with other routes a minute later."""
    seen = Watched(ROUTE)
    seen.take(fact("raised", "a", NOON))
    seen.pass_until(NOON + MINUTE)
    seen.restart(*routes)
    return seen


def who(seen: Watched) -> list[tuple[str, str]]:
    return [(handler, kind) for handler, kind, _ in seen.said()]


class TestRoutes:
    def test_without_escalation_there_is_none(self) -> None:
        seen = told(replace(ROUTE, steps=()))
        seen.pass_until(NOON + 50 * MINUTE)
        assert who(seen) == [("mail", "raised")]

    def test_a_chain_that_is_shorter_than_its_alert_has_come(self) -> None:
        seen = told(ROUTE)
        seen.pass_until(NOON + 20 * MINUTE)
        seen.restart(replace(ROUTE, steps=ROUTE.steps[:1]))
        seen.pass_until(NOON + 50 * MINUTE)
        assert who(seen) == [("mail", "raised"), ("sms", "escalation")]

    def test_without_repeat_nobody_is_reminded(self) -> None:
        seen = told(replace(ROUTE, repeat_ns=0, steps=()))
        seen.pass_until(NOON + 5 * HOUR)
        assert who(seen) == [("mail", "raised")]

    @pytest.mark.parametrize(
        "routes", [[replace(ROUTE, name="new")], [Route("critical", ("pager",)), replace(ROUTE, name="")]]
    )
    def test_under_another_name_it_goes_on_where_it_was(self, routes: list[Route]) -> None:
        seen = told(*routes)
        seen.pass_until(NOON + 61 * MINUTE)
        assert who(seen) == [
            ("mail", "raised"), ("sms", "escalation"), ("boss", "escalation"),
            ("mail", "reminder"), ("sms", "reminder"), ("boss", "reminder"),
        ]  # fmt: skip

    def test_who_has_taken_over_is_told_and_the_time_to_acknowledge_begins_anew(self) -> None:
        seen = told(replace(ROUTE, handlers=("chat",)))
        seen.pass_until(NOON + 17 * MINUTE)
        assert who(seen) == [("mail", "raised"), ("chat", "raised"), ("sms", "escalation")]

    def test_where_nobody_is_left_the_reason_is_on_record(self) -> None:
        seen = told(replace(ROUTE, name="other", matchers=Matchers(machines=("pump-9",))))
        assert seen.why() == [("a", "routes")]

    def test_who_has_left_the_rota_is_followed_by_whose_turn_it_is(self) -> None:
        seen, rota = (
            Watched(replace(ROUTE, handlers=("crew",)), rotas=(Rota("crew", UTC, ("anna", "bo")),)),
            ("anna", "bo"),
        )
        seen.take(fact("raised", "a", NOON))
        ((first, _, _),) = seen.said()
        (other,) = {*rota} - {first}
        seen.made = (RouteTable([replace(ROUTE, handlers=("crew",))], [Rota("crew", UTC, (other,))]), *seen.made[1:])
        seen.restart()
        seen.pass_until(NOON + 16 * MINUTE)
        assert who(seen) == [(first, "raised"), (other, "raised"), ("sms", "escalation")]

    def test_what_is_held_on_a_route_that_is_for_something_else_now_is_on_record(self) -> None:
        route = replace(ROUTE, quiet=Hours(UTC, start=0, end=23 * 60))
        seen = Watched(route)
        seen.take(fact("raised", "a", NOON))
        seen.restart(replace(route, handlers=("sms",), severity="critical", steps=()))
        seen.pass_until(NOON + 24 * HOUR)
        assert seen.why() == [("a", "quiet"), ("a", "routes")]
        assert not seen.messages

    def test_without_quiet_hours_nothing_waits_for_their_end(self) -> None:
        seen = Watched(replace(ROUTE, quiet=Hours(UTC, start=0, end=23 * 60)))
        seen.take(fact("raised", "a", NOON))
        seen.restart(ROUTE)
        seen.pass_until(NOON + SECOND)
        assert who(seen) == [("mail", "raised")]


class TestMutes:
    def test_what_is_configured_no_more_mutes_no_more(self) -> None:
        seen = Watched(ROUTE, standing=(SERVICE,))
        seen.take(fact("raised", "a", NOON))
        seen.made = (*seen.made[:2], ())
        seen.restart()
        assert who(seen) == [("mail", "raised")]

    def test_what_ends_earlier_mutes_until_then(self) -> None:
        seen = Watched(ROUTE, standing=(SERVICE,))
        seen.take(fact("raised", "a", NOON))
        seen.made = (*seen.made[:2], (replace(SERVICE, ends_ns=NOON + HOUR),))
        seen.restart()
        seen.pass_until(NOON + HOUR)
        assert who(seen)[-1] == ("mail", "raised")

    def test_without_inhibition_the_warnings_of_a_machine_are_told(self) -> None:
        seen = Watched(ROUTE)
        seen.take(fact("raised", "c", NOON, severity="critical"), fact("raised", "w", NOON + SECOND))
        assert seen.why() == [("w", "inhibition")]
        seen.made = (seen.made[0], Noise(inhibit=False), ())
        seen.restart()
        seen.pass_until(NOON + MINUTE)
        assert seen.said()[-1] == ("mail", "raised", ["w"])


handlers = st.lists(st.sampled_from(["mail", "sms", "boss", "crew"]), min_size=1, max_size=2, unique=True).map(tuple)
hours = st.sampled_from([None, Hours(UTC, start=12 * 60 + 5, end=13 * 60), Hours(UTC, start=11 * 60, end=12 * 60 + 10)])
matchers = st.sampled_from([Matchers(), Matchers(machines=("m1",)), Matchers(sensors=("s*",))])
routes = st.lists(
    st.builds(
        Route,
        st.sampled_from(["warning", "critical"]),
        handlers,
        name=st.sampled_from(["", "r", "q"]),
        matchers=matchers,
        times=hours,
        quiet=hours,
        resolved=st.booleans(),
        group_by=st.sampled_from(["machine", "none"]),
        repeat_ns=st.sampled_from([0, 10 * MINUTE, HOUR]),
        steps=st.lists(st.builds(EscalationStep, st.sampled_from([MINUTE, 20 * MINUTE]), handlers), max_size=2).map(
            tuple
        ),
    ),
    max_size=3,
    unique_by=lambda route: route.name,
)
rotas = st.sampled_from([(Rota("crew", UTC, ("anna", "bo")),), (Rota("crew", UTC, ("cleo",)),)])
standing = st.sampled_from(
    [
        (),
        (replace(SERVICE, matchers=Matchers(machines=("m1",))),),
        (replace(SERVICE, matchers=Matchers(machines=("m1",)), ends_ns=NOON + 30 * MINUTE),),
        (replace(SERVICE, id="w", hours=Hours(UTC, start=12 * 60, end=13 * 60)),),
    ]
)
noise = st.builds(Noise, st.sampled_from([0, 3]), st.just(2), flap_count=st.sampled_from([0, 1]), inhibit=st.booleans())
configuration = st.tuples(st.builds(RouteTable, routes, rotas), noise, standing)
step = st.tuples(
    st.sampled_from(["raise", "raise", "raise", "escalate", "clear", "ack", "shelve", "silence", "expire"]),
    st.integers(0, 3),
    st.sampled_from([0, 1, 40, 300, 1500]),
)
steps = st.lists(step, max_size=12)
MOST = 3 * 5 * (6 + 2)
"""Messages about an alert in an hour: on each of three routes to each of five people, six reminders and two changes."""


@examples(300)
@given(configuration, steps, configuration, steps)
def test_with_another_configuration_nobody_is_forgotten_nor_told_without_end(
    before: tuple[RouteTable, Noise, tuple[Silence, ...]],
    first: list[tuple[str, int, int]],
    after: tuple[RouteTable, Noise, tuple[Silence, ...]],
    then: list[tuple[str, int, int]],
) -> None:
    seen, plant = Watched(), Plant()
    seen.made = before
    seen.restart()
    for what, sensor, seconds in first:
        plant.apply(seen, what, sensor, seconds, restarts=False)
    seen.pass_until(plant.now_ns)
    seen.made = after
    seen.restart()
    _is_accounted_for(seen)
    told_before = len(seen.messages)
    seen.pass_until(plant.now_ns + HOUR)
    assert len(seen.messages) - told_before <= MOST * max(1, len(plant.open))
    plant.now_ns = seen.now_ns
    for what, sensor, seconds in then:
        plant.apply(seen, what, sensor, seconds, restarts=False)
    _is_accounted_for(seen)


def _is_accounted_for(seen: Watched) -> None:
    """Of every open alert somebody knows, or will, or there is a reason that still holds."""
    table, noise, standing = seen.made
    sources = {f"silence/{one.id}" for one in (*standing, *seen.added.values())}
    reasons = {one.item.alert_id for one in seen.withheld if not one.deferred}
    book = PlannerState()
    book.restore((kind, key, record) for (kind, key), record in seen.records.items())
    for alert_id, case in book.all(AlertNotificationState):
        assert case.legs.keys() <= table.by_name.keys()
        if case.mute is not None:
            assert not case.mute.key.startswith("silence/") or case.mute.key in sources
            assert noise.inhibit or case.mute.by != "inhibition"
        for name, leg in case.legs.items():
            assert leg.escalate_ns is None or leg.step < len(table.by_name[name].steps)
            assert leg.remind_ns is None or table.by_name[name].repeat_ns
        followed = any(leg.told or leg.held for leg in case.legs.values())
        assert case.over or case.acknowledged or followed or alert_id in reasons
