"""Who is told what and when, and why somebody is not told."""

import itertools
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.model.assets import MachineState, sensor_moved, state_changed
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.dry_run import notifications
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.model import Planned, Withheld
from gateway.domain.notification.oncall import Hours
from gateway.domain.notification.planner import Planner
from gateway.domain.notification.routing import EscalationStep, Route, RouteTable
from gateway.domain.notification.silences import Silence
from gateway.domain.notification.suppression import BROKER
from tests.unit.domain.planning.facts import HOUR, MINUTE, NOON, SECOND, Watched, fact, shelved

MAIL = Route("warning", ("mail",))
SMS = Route("critical", ("sms",))
UTC = ZoneInfo("UTC")
NIGHT = Hours(UTC, start=22 * 60, end=6 * 60)


def silence(**more: object) -> Silence:
    values = {"starts_ns": NOON, "ends_ns": NOON + 2 * HOUR, **more}
    return Silence("s1", Matchers(machines=("pump-1",)), "anna", "bearing change", **values)  # type: ignore[arg-type] # of the test's own


class TestRouting:
    def test_the_least_configuration_tells_at_once(self) -> None:
        seen = Watched(MAIL, SMS)
        seen.take(fact("raised", "a", NOON), fact("escalated", "a", NOON + SECOND, severity="critical"))
        assert seen.said() == [("mail", "raised", ["a"]), ("mail", "escalated", ["a"]), ("sms", "escalated", ["a"])]
        assert seen.withheld == []

    def test_a_handler_that_two_routes_lead_to_is_told_once(self) -> None:
        seen = Watched(MAIL, Route("critical", ("sms", "mail")))
        seen.take(fact("raised", "a", NOON, severity="critical"))
        assert seen.said() == [("mail", "raised", ["a"]), ("sms", "raised", ["a"])]

    def test_what_no_route_takes_is_on_record_with_the_reason(self) -> None:
        seen = Watched(SMS)
        seen.take(fact("raised", "a", NOON))
        (one,) = seen.withheld
        assert (one.by, one.reason) == ("routes", "no route matches: route 1: takes critical only")

    def test_a_handler_is_not_asked_to_tell_that_it_does_not_work(self) -> None:
        seen = Watched(Route("warning", ("mail", "sms")))
        seen.take(fact("raised", "a", NOON, kind="gateway", sensor="handler sms"))
        assert seen.said() == [("mail", "raised", ["a"])]


class TestMoves:
    PUMPS = Route("warning", ("mail", "sms"), name="pumps", matchers=Matchers(machines=("pump-*",)))
    ALL = Route("critical", ("mail",), name="all")

    def moved(self, at_ns: int, to: str = "fan-9") -> DomainEvent:
        return sensor_moved("VB-1", "VB-1", {"machine": "pump-3"}, {"machine": to}, at_ns)

    def test_who_is_told_by_a_route_that_does_not_match_any_more_is_told_so(self) -> None:
        seen = Watched(self.PUMPS)
        seen.take(self.moved(NOON))
        assert [(one.handler, one.kind, one.route) for one in seen.messages] == [
            ("mail", "notice", "pumps"),
            ("sms", "notice", "pumps"),
        ]
        assert seen.messages[0].reason == (
            "VB-1 was moved from pump-3 to fan-9. Its alerts do not go by pumps any more."
            " No route takes them at present."
        )

    def test_where_the_same_routes_match_nobody_is_told(self) -> None:
        seen = Watched(self.PUMPS, self.ALL)
        seen.take(self.moved(NOON, "pump-4"))
        assert seen.messages == []

    def test_the_same_move_is_told_once_a_day(self) -> None:
        """As of two devices with one id, which move with every reading: the outbox takes an id once."""
        seen = Watched(self.PUMPS, self.ALL)
        seen.take(self.moved(NOON), self.moved(NOON + MINUTE), self.moved(NOON + 24 * HOUR))
        assert len({one.id for one in seen.messages}) == 4
        assert not seen.messages[0].reason.endswith("present.")


class TestGroups:
    def test_the_first_goes_at_once_and_what_follows_is_gathered(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", name, NOON + at * SECOND) for at, name in enumerate("abc")))
        assert seen.said() == [("mail", "raised", ["a"])]
        seen.pass_until(NOON + MINUTE)
        assert seen.said()[1:] == [("mail", "digest", ["b", "c"])]
        assert seen.messages[1].created_ns == NOON + 30 * SECOND
        assert seen.messages[1].reason == "2 alerts on 1 machine: 2 warning"

    def test_another_machine_is_another_group(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON, machine="fan-2"))
        assert seen.said() == [("mail", "raised", ["a"]), ("mail", "raised", ["b"])]

    def test_a_single_follower_is_told_like_any_other(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON))
        seen.pass_until(NOON + MINUTE)
        assert seen.said()[1:] == [("mail", "raised", ["b"])]

    def test_what_is_worse_than_all_before_does_not_wait(self) -> None:
        seen = Watched(MAIL, noise=Noise(inhibit=False))
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON), fact("raised", "c", NOON, severity="critical"))
        assert seen.said() == [("mail", "raised", ["a"]), ("mail", "raised", ["c"])]

    def test_what_is_over_before_anybody_was_told_is_not_told_and_the_reason_is_on_record(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON), fact("cleared", "b", NOON + SECOND))
        seen.pass_until(NOON + MINUTE)
        assert seen.said() == [("mail", "raised", ["a"])]
        assert set(seen.why()) == {("b", "over")}

    def test_unless_the_route_asks_for_what_is_over(self) -> None:
        seen = Watched(Route("warning", ("mail",), resolved=True))
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON), fact("cleared", "b", NOON + SECOND))
        seen.pass_until(NOON + MINUTE)
        assert seen.said()[1:] == [("mail", "cleared", ["b"])]
        assert seen.messages[1].reason == "b raised; over at 12:00 UTC: b cleared"

    def test_a_change_for_the_worse_within_a_group_is_told_as_one(self) -> None:
        seen = Watched(MAIL, noise=Noise(inhibit=False))
        seen.take(
            fact("raised", "a", NOON, severity="critical"),
            fact("raised", "b", NOON),
            fact("escalated", "b", NOON + SECOND, severity="critical"),
        )
        seen.pass_until(NOON + MINUTE)
        assert seen.said()[1:] == [("mail", "escalated", ["b"])]
        assert len(seen.messages[1].changes) == 2

    def test_without_grouping_each_goes_at_once(self) -> None:
        seen = Watched(Route("warning", ("mail",), group_by="none"))
        seen.take(*(fact("raised", name, NOON) for name in "abc"))
        assert len(seen.messages) == 3


class TestResolved:
    def test_who_was_told_is_told_that_it_is_over_if_the_route_says_so(self) -> None:
        seen = Watched(Route("warning", ("mail",), resolved=True), SMS)
        seen.take(
            fact("raised", "a", NOON, severity="critical"), fact("cleared", "a", NOON + HOUR, severity="critical")
        )
        assert seen.said()[2:] == [("mail", "cleared", ["a"])]
        assert ("case", "a") not in seen.records

    def test_what_has_not_gone_yet_is_withdrawn(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON), fact("cleared", "a", NOON + HOUR))
        assert seen.withdrawn == [("a", ("raised", "escalated", "reminder", "escalation"))]


class TestFloods:
    def test_from_the_eleventh_on_they_are_one_digest(self) -> None:
        seen = Watched(MAIL, SMS)
        seen.take(*(fact("raised", f"a{n}", NOON + n * SECOND, machine=f"m{n}") for n in range(60)))
        seen.pass_until(NOON + 10 * MINUTE)
        assert [kind for _, kind, _ in seen.said()] == ["raised"] * 10 + ["digest"]
        assert len(seen.messages[-1].items) == 50
        assert seen.messages[-1].created_ns == NOON + 59 * SECOND + 30 * SECOND
        assert {one.by for one in seen.withheld} == {"flood"}
        assert all(one.deferred for one in seen.withheld)

    def test_what_waits_in_groups_goes_with_the_digest(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n * SECOND) for n in range(20)))
        seen.pass_until(NOON + 10 * MINUTE)
        assert [(kind, len(names)) for _, kind, names in seen.said()] == [("raised", 1), ("digest", 19)]

    def test_a_machine_that_was_healthy_until_now_comes_before_all_that_is_new(self) -> None:
        """Whoever invents three hundred critical alerts does not hide one."""
        seen = Watched(Route("warning", ("mail",)))
        for number in range(300):
            at_ns = NOON + number * SECOND // 10
            name, newcomer, ratio = (f"forged-{number}", True, 99.0)
            if number == 150:
                name, newcomer, ratio = "real", False, 3.0
            seen.take(fact("raised", name, at_ns, severity="critical", machine=name, ratio=ratio, newcomer=newcomer))
        seen.pass_until(NOON + HOUR)
        (digest,) = [one for one in seen.messages if "real" in [item.alert_id for item in one.items]]
        assert digest.count > 10
        assert digest.items[0].alert_id == "real"

    def test_one_of_a_machine_with_few_comes_before_those_of_one_with_many(self) -> None:
        seen = Watched(Route("warning", ("mail",)))
        for number in range(60):
            seen.take(fact("raised", f"a{number}", NOON + number, machine="busy", ratio=9.0))
        seen.take(fact("raised", "real", NOON + 61, machine="pump-7"))
        seen.pass_until(NOON + HOUR)
        (digest,) = [one for one in seen.messages if one.count > 1]
        assert digest.items[0].alert_id == "real"

    def test_further_digests_are_a_window_apart_and_it_is_over_when_there_are_few(self) -> None:
        seen = Watched(Route("warning", ("mail",), group_by="none"))
        seen.take(*(fact("raised", f"a{n}", NOON + n * 20 * SECOND) for n in range(90)))  # half an hour, three a minute
        digests = [one for one in seen.messages if one.kind == "digest"]
        assert all(b.created_ns - a.created_ns >= 10 * MINUTE for a, b in itertools.pairwise(digests))
        assert 3 <= len(digests) <= 4
        seen.pass_until(NOON + HOUR)
        seen.take(fact("raised", "later", NOON + 2 * HOUR))
        assert seen.said()[-1] == ("mail", "raised", ["later"])
        told = [item.alert_id for one in seen.messages for item in one.items]
        assert sorted(told) == sorted({*(f"a{n}" for n in range(90)), "later"})

    def test_a_digest_lists_a_thousand_and_says_how_many_there_are(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n, machine=f"m{n}") for n in range(2000)))
        seen.pass_until(NOON + HOUR)
        digest = seen.messages[-1]
        assert (len(digest.items), digest.count, len(digest.changes)) == (1000, 1990, 1990)

    def test_a_flood_can_be_turned_off(self) -> None:
        seen = Watched(MAIL, noise=Noise(flood_count=0))
        seen.take(*(fact("raised", f"a{n}", NOON, machine=f"m{n}") for n in range(60)))
        assert len(seen.messages) == 60


class TestFlapping:
    def test_what_comes_and_goes_is_gathered(self) -> None:
        seen = Watched(Route("warning", ("mail",), group_by="none"))
        for n in range(20):
            at = NOON + n * MINUTE
            seen.take(fact("raised", f"a{n}", at, sensor="x"), fact("cleared", f"a{n}", at + SECOND, sensor="x"))
        assert [kind for _, kind, _ in seen.said()] == ["raised"] * 5
        seen.pass_until(NOON + HOUR)
        assert seen.said()[-1][1] == "digest"
        assert seen.messages[-1].count == 15
        assert "15 over" in seen.messages[-1].reason


class TestQuietHours:
    ROUTE = Route("warning", ("mail",), quiet=NIGHT)

    def test_warnings_wait_for_the_morning_and_none_is_lost(self) -> None:
        seen = Watched(self.ROUTE)
        night = NOON + 11 * HOUR
        seen.take(
            fact("raised", "a", night),
            fact("raised", "b", night + HOUR),
            fact("cleared", "a", night + 2 * HOUR),
            fact("raised", "c", night + 3 * HOUR, severity="critical", machine="m2"),
        )
        assert seen.said() == [("mail", "raised", ["c"])]
        assert seen.why() == [("a", "quiet"), ("b", "quiet")]
        seen.pass_until(NOON + 24 * HOUR)
        assert seen.said()[1:] == [("mail", "digest", ["b", "a"])]
        assert seen.messages[1].created_ns == NOON + 18 * HOUR

    def test_a_warning_that_becomes_critical_does_not_wait(self) -> None:
        seen = Watched(self.ROUTE)
        night = NOON + 11 * HOUR
        seen.take(fact("raised", "a", night), fact("escalated", "a", night + HOUR, severity="critical"))
        assert seen.said() == [("mail", "escalated", ["a"])]
        seen.pass_until(NOON + 24 * HOUR)
        assert len(seen.messages) == 1

    def test_reminders_and_escalations_of_warnings_wait_too(self) -> None:
        route = Route("warning", ("mail",), quiet=NIGHT, repeat_ns=HOUR, steps=(EscalationStep(2 * HOUR, ("boss",)),))
        seen = Watched(route)
        seen.take(fact("raised", "a", NOON + 9 * HOUR + 30 * MINUTE))
        seen.pass_until(NOON + 18 * HOUR - 1)
        assert seen.said() == [("mail", "raised", ["a"])]
        seen.pass_until(NOON + 18 * HOUR)
        assert sorted(seen.said()[1:]) == [("boss", "escalation", ["a"]), ("mail", "reminder", ["a"])]


class TestAgain:
    ROUTE = Route(
        "warning", ("mail",), steps=(EscalationStep(15 * MINUTE, ("sms",)), EscalationStep(30 * MINUTE, ("boss",)))
    )

    def test_nobody_acknowledges(self) -> None:
        seen = Watched(self.ROUTE)
        seen.take(fact("raised", "a", NOON))
        seen.pass_until(NOON + 24 * HOUR)
        assert seen.said() == [("mail", "raised", ["a"]), ("sms", "escalation", ["a"]), ("boss", "escalation", ["a"])]
        assert [one.created_ns - NOON for one in seen.messages] == [0, 15 * MINUTE, 45 * MINUTE]

    def test_an_alert_that_becomes_critical_in_the_same_moment_is_one_item(self) -> None:
        seen = Watched(self.ROUTE)
        seen.take(fact("raised", "a", NOON), fact("escalated", "a", NOON, severity="critical"))
        seen.pass_until(NOON + 15 * MINUTE)
        assert seen.messages[-1].count == 1

    def test_acknowledging_stops_it(self) -> None:
        seen = Watched(self.ROUTE, Route("warning", ("chat",), repeat_ns=HOUR))
        seen.take(fact("raised", "a", NOON), fact("acknowledged", "a", NOON + 20 * MINUTE))
        seen.pass_until(NOON + 24 * HOUR)
        assert [handler for handler, _, _ in seen.said()] == ["mail", "chat", "sms"]
        assert seen.withdrawn == [("a", ("reminder", "escalation"))]

    def test_several_that_wait_for_as_long_are_one_message(self) -> None:
        seen = Watched(self.ROUTE)
        seen.take(*(fact("raised", f"a{n}", NOON + n, machine=f"m{n}") for n in range(100)))
        seen.pass_until(NOON + HOUR)
        assert [one.count for one in seen.messages if one.handler == "boss"] == [1] * 10 + [90]

    def test_reminders_gather_what_would_follow_soon_and_end_with_the_alert(self) -> None:
        seen = Watched(Route("warning", ("mail",), repeat_ns=HOUR, group_by="none"))
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON + MINUTE))
        seen.pass_until(NOON + HOUR + 30 * MINUTE)
        assert [one.kind for one in seen.messages] == ["raised", "raised", "reminder"]
        seen.take(fact("cleared", "a", NOON + 90 * MINUTE), fact("cleared", "b", NOON + 90 * MINUTE))
        seen.pass_until(NOON + 24 * HOUR)
        assert len(seen.messages) == 3

    def test_each_reminder_has_an_id_of_its_own(self) -> None:
        seen = Watched(Route("warning", ("mail",), repeat_ns=HOUR))
        seen.take(fact("raised", "a", NOON))
        seen.pass_until(NOON + 5 * HOUR)
        assert len({one.id for one in seen.messages}) == 6


class TestMuting:
    def test_what_is_silenced_is_told_when_the_silence_ends_if_it_is_still_so(self) -> None:
        seen = Watched(MAIL)
        seen.silence(silence(), NOON)
        seen.take(
            fact("raised", "a", NOON + MINUTE),
            fact("raised", "b", NOON + MINUTE),
            fact("raised", "c", NOON, machine="x"),
        )
        seen.take(fact("cleared", "b", NOON + HOUR))
        assert seen.said() == [("mail", "raised", ["c"])]
        assert (seen.withheld[0].by, seen.withheld[0].reason) == ("silence", "silence s1 by anna: bearing change")
        seen.pass_until(NOON + 3 * HOUR)
        assert seen.said()[1:] == [("mail", "notice", ["a"]), ("mail", "raised", ["a"])]
        assert seen.messages[1].created_ns == NOON + 105 * MINUTE
        assert seen.messages[2].created_ns == NOON + 2 * HOUR

    def test_expiring_a_silence_tells_at_once(self) -> None:
        seen = Watched(MAIL)
        seen.silence(silence(), NOON)
        seen.take(fact("raised", "a", NOON + MINUTE))
        seen.unsilence("s1", NOON + 2 * MINUTE)
        assert seen.said() == [("mail", "raised", ["a"])]
        seen.pass_until(NOON + 3 * HOUR)
        assert len(seen.messages) == 1

    def test_a_silence_that_is_over_leaves_nothing_behind(self) -> None:
        seen = Watched(MAIL)
        seen.silence(silence(), NOON)
        assert ("notice", "s1") in seen.records
        seen.pass_until(NOON + 3 * HOUR)
        assert ("notice", "s1") not in seen.records

    def test_there_is_a_notice_even_if_nothing_is_muted(self) -> None:
        seen = Watched(MAIL, Route("warning", ("other",), matchers=Matchers(machines=("fan-*",))))
        seen.silence(silence(), NOON)
        seen.pass_until(NOON + 3 * HOUR)
        assert seen.said() == [("mail", "notice", [])]
        assert "ends at 2024-01-15T14:00:00.000Z. It mutes nothing at present." in seen.messages[0].reason

    def test_a_maintenance_window_comes_back_every_week(self) -> None:
        window = silence(starts_ns=0, ends_ns=None, hours=Hours(UTC, frozenset({0}), 12 * 60, 14 * 60))
        seen = Watched(MAIL, standing=(window,))
        week = 7 * 24 * HOUR
        for at in (NOON + HOUR, NOON + week + HOUR):
            seen.take(fact("raised", f"a{at}", at, sensor="x"), fact("cleared", f"a{at}", at + MINUTE, sensor="x"))
        seen.take(fact("raised", "b", NOON + week + 3 * HOUR))
        assert seen.said() == [("mail", "raised", ["b"])]
        assert [one.by for one in seen.withheld] == ["maintenance"] * 2

    def test_what_is_shelved_is_told_to_those_who_know_when_that_ends(self) -> None:
        seen = Watched(Route("warning", ("mail",), repeat_ns=HOUR))
        seen.take(fact("raised", "a", NOON), shelved("a", NOON + MINUTE, NOON + 3 * HOUR))
        seen.pass_until(NOON + 5 * HOUR)
        assert [(kind, at) for kind, at in ((one.kind, one.created_ns - NOON) for one in seen.messages)] == [
            ("raised", 0),
            ("notice", 3 * HOUR),
            ("reminder", 4 * HOUR),
            ("reminder", 5 * HOUR),
        ]

    def test_critical_mutes_warnings_of_the_same_machine_until_it_is_over(self) -> None:
        seen = Watched(MAIL)
        seen.take(
            fact("raised", "a", NOON, severity="critical"),
            fact("raised", "b", NOON + SECOND),
            fact("raised", "c", NOON + SECOND, machine="fan-2"),
            fact("cleared", "a", NOON + HOUR, severity="critical"),
        )
        assert seen.said() == [("mail", "raised", ["a"]), ("mail", "raised", ["c"]), ("mail", "raised", ["b"])]
        assert seen.withheld[0].reason == "sensor of a of the same machine is critical, which people have been told"

    def test_one_that_is_silenced_itself_mutes_nothing(self) -> None:
        seen = Watched(MAIL)
        only = Silence("s1", Matchers(sensors=("sensor of a",)), "anna", "", NOON, NOON + HOUR)
        seen.silence(only, NOON)
        seen.take(fact("raised", "a", NOON, severity="critical"), fact("raised", "b", NOON))
        assert seen.said() == [("mail", "raised", ["b"])]

    def test_while_the_broker_is_lost_a_silent_sensor_says_nothing(self) -> None:
        seen = Watched(MAIL)
        seen.take(
            fact("raised", "g", NOON, kind="gateway", sensor=BROKER),
            fact("raised", "a", NOON + MINUTE, kind="sensor"),
            fact("cleared", "a", NOON + HOUR, kind="sensor"),
            fact("raised", "b", NOON + MINUTE, kind="sensor", machine="m2"),
            fact("cleared", "g", NOON + HOUR, kind="gateway", sensor=BROKER),
        )
        assert seen.said() == [("mail", "raised", ["g"]), ("mail", "raised", ["b"])]
        assert {one.by for one in seen.withheld} == {"inhibition"}

    def test_a_machine_that_has_stopped_says_nothing_of_its_sensors(self) -> None:
        seen = Watched(MAIL)
        place = MachineState(("plant", "hall-2", "pump-1"), "Stopped")
        seen.take(state_changed(place, None, NOON), fact("raised", "a", NOON + MINUTE, kind="sensor"))
        seen.restart()
        seen.take(fact("raised", "b", NOON + MINUTE, kind="sensor", machine="pump-2"))
        assert seen.said() == [("mail", "raised", ["b"])]
        assert seen.withheld[0].reason == "the machine pump-1 has stopped"
        seen.take(state_changed(MachineState(place.place, "running"), "Stopped", NOON + HOUR))
        assert seen.said()[1:] == [("mail", "raised", ["a"])]


class TestRestarts:
    def test_what_was_held_back_takes_the_routes_there_are_now(self) -> None:
        seen = Watched(Route("warning", ("mail",), name="old"))
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON))
        seen.restart(Route("warning", ("chat",), name="new"))
        seen.pass_until(NOON + MINUTE)
        assert seen.said() == [("mail", "raised", ["a"]), ("chat", "raised", ["a"]), ("chat", "raised", ["b"])]

    def test_our_clock_goes_back_and_nothing_is_put_off(self) -> None:
        seen = Watched(Route("warning", ("mail",), steps=(EscalationStep(15 * MINUTE, ("sms",)),)))
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON))
        seen.now_ns = NOON - 24 * HOUR
        seen.restart()
        seen.pass_until(NOON - 24 * HOUR + 30 * SECOND)
        assert seen.said()[1:] == [("mail", "raised", ["b"])]


def test_a_history_shows_who_would_have_been_told() -> None:
    table = RouteTable([MAIL])
    history = [
        fact("raised", "a", NOON),
        fact("raised", "b", NOON),
        fact("cleared", "a", NOON + MINUTE),
        fact("raised", "c", NOON + HOUR),
    ]
    found = list(notifications(history, table, Noise(), [silence(starts_ns=NOON + HOUR)]))
    told = [(one.kind, one.created_ns - NOON) for one in found if isinstance(one, Planned)]
    assert told == [("raised", 0), ("raised", 30 * SECOND)]
    assert [one.by for one in found if isinstance(one, Withheld)] == ["silence"]


class TestAnotherVersionsRecords:
    def test_what_cannot_be_read_is_left_out_and_counted(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON))
        records = [(kind, key, record) for (kind, key), record in seen.records.items()]
        strange = [("case", "c", b'{"number": "one"}'), ("mood", "", b"{}")]
        assert Planner(*seen.made).restore([*strange, *records], [], NOON) == 2

    def test_what_a_hold_kept_back_that_cannot_be_read_is_told(self) -> None:
        seen = Watched(MAIL)
        seen.take(fact("raised", "a", NOON), fact("raised", "b", NOON + SECOND))
        seen.records.update({known: b"[]" for known in seen.records if known[0] == "hold"})
        seen.restart()
        seen.pass_until(NOON + 10 * MINUTE)
        assert seen.said() == [("mail", "raised", ["a"]), ("mail", "raised", ["b"])]


class TestWhatIsWorseThanADigest:
    @pytest.mark.parametrize("kind", ["raised", "escalated"])
    def test_a_critical_alert_of_another_machine_goes_at_once_in_a_flood_of_warnings(self, kind: str) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n * SECOND, machine=f"m{n}") for n in range(14)))
        if kind == "escalated":
            seen.take(fact("raised", "real", NOON + 14 * SECOND, machine="press-1"))
        seen.take(fact(kind, "real", NOON + 20 * SECOND, severity="critical", machine="press-1"))
        assert seen.said()[-1] == ("mail", kind, ["real"])
        assert seen.messages[-1].created_ns == NOON + 20 * SECOND

    def test_one_that_waits_in_a_group_when_a_flood_begins_waits_no_longer(self) -> None:
        seen = Watched(Route("warning", ("mail",), group_by="site"))
        seen.take(
            fact("raised", "first", NOON, severity="critical", machine="m"),
            fact("raised", "real", NOON + 1, severity="critical", machine="press-1"),
            *(fact("raised", f"a{n}", NOON + SECOND + n, machine=f"m{n}") for n in range(14)),
        )
        seen.pass_until(NOON + 30 * SECOND)
        assert [(kind, names) for _, kind, names in seen.said()][1] == ("raised", ["real"])

    def test_after_a_digest_too(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n * 2 * SECOND, machine=f"m{n}") for n in range(200)))
        at = seen.messages[-1].created_ns + SECOND
        seen.take(fact("raised", "real", at, severity="critical", machine="press-1"))
        assert (seen.said()[-1], seen.messages[-1].created_ns) == (("mail", "raised", ["real"]), at)

    def test_each_machine_is_told_of_within_seconds_and_nobody_of_each_of_its_sensors(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n, machine=f"m{n}") for n in range(20)))
        start = NOON + SECOND
        critical = [
            fact("raised", f"m{n}-{each}", start + n * SECOND // 10, severity="critical", machine=f"m{n}")
            for n in range(100)
            for each in range(3)
        ]
        before = len(seen.messages)
        seen.take(*critical)
        seen.pass_until(start + 20 * SECOND)
        told = {
            item.machine: one.created_ns - item.occurred_ns
            for one in reversed(seen.messages[before:])
            for item in one.items
            if item.severity == "critical"
        }
        assert len(told) == 100
        assert max(told.values()) <= 3 * SECOND
        assert len(seen.messages) - before <= 6

    def test_a_sensor_that_comes_and_goes_and_gets_worse_is_told_of_once(self) -> None:
        seen = Watched(Route("warning", ("mail",), group_by="none"))
        for n in range(20):
            at, severity = NOON + n * MINUTE, "critical" if n >= 10 else "warning"
            seen.take(
                fact("raised", f"a{n}", at, sensor="x", severity=severity),  # type: ignore[arg-type] # one of the two
                fact("cleared", f"a{n}", at + SECOND, sensor="x"),
            )
        assert [kind for _, kind, _ in seen.said()] == ["raised"] * 6
        assert seen.messages[-1].created_ns == NOON + 10 * MINUTE

    def test_what_is_remembered_of_machines_is_bounded(self) -> None:
        seen = Watched(MAIL)
        seen.take(*(fact("raised", f"a{n}", NOON + n * 10, severity="critical", machine=f"m{n}") for n in range(1500)))
        (traffic,) = [record for (kind, _), record in seen.records.items() if kind == "traffic"]
        assert traffic.count(b"plant") == 1000
