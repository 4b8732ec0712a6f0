"""Who is told what and when: (facts and the time, routes, silences, state) -> messages, and why there is none.

Pure: time is an argument, and the same facts and times give the same messages with the same ids. The state is a set of
records that can be stored and taken up again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.model.assets import MACHINE_STATE, SENSOR_MOVED
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.timefmt import microseconds
from gateway.domain.notification import reconcile as renewal
from gateway.domain.notification import silences
from gateway.domain.notification.escalation import FollowUp
from gateway.domain.notification.flood import Flaps, Noise
from gateway.domain.notification.grouping import Grouping
from gateway.domain.notification.model import Item, ItemKind, NotificationKind, item_of
from gateway.domain.notification.moves import notices
from gateway.domain.notification.plan_builder import Plan, PlanBuilder
from gateway.domain.notification.routing import RouteTable
from gateway.domain.notification.silences import Silence, Silences
from gateway.domain.notification.state import AlertNotificationState, Clock, Hold, Notice, RouteState, Stopped, shift
from gateway.domain.notification.suppression import Mute, Mutes, machine_key
from gateway.domain.notification.timers import await_end, set_timers

_TOLD: dict[str, ItemKind] = {RAISED: "raised", ESCALATED: "escalated", CLEARED: "cleared"}
_SECOND_NS = 10**9


class Planner:
    """Takes in facts in the order of the journal, and the passing of time; `plan` gives what follows."""

    def __init__(self, table: RouteTable, noise: Noise, standing: Iterable[Silence] = ()) -> None:
        self._desk = PlanBuilder(table, noise)
        self._mutes = Mutes(Silences(standing), inhibit=noise.inhibit)
        self._gathering = Grouping(self._desk)
        self._follow_up = FollowUp(self._desk, self._is_muted)
        self._muted: dict[str, dict[str, None]] = {}
        self._number = 0

    def restore(self, rows: Iterable[tuple[str, str, bytes]], added: Iterable[Silence], now_ns: int) -> int:
        """Take up the records of an earlier planner and the silences that people have added.

        Return how many this program cannot read. What was on a route that is gone takes the routes there are now.
        """
        book = self._desk.book
        unreadable = book.restore(rows)
        for silence in added:
            self._mutes.silences.add(silence)
        clock = book.get(Clock, "")
        if clock is not None and now_ns < clock.now_ns - _SECOND_NS:
            self.shift(now_ns - clock.now_ns)
        for alert_id, case in book.all(AlertNotificationState):
            self._number = max(self._number, case.number)
            if case.mute is not None:
                self._muted.setdefault(case.mute.key, {})[alert_id] = None
            if case.known and not case.over:
                self._mutes.begin(case.item)
        self._renew(now_ns)
        for silence_id, _ in book.all(Notice):
            self._forget(silence_id, now_ns)
        set_timers(self._desk, self._mutes.silences)
        for silence in self._mutes.silences:
            if silence.hours is None:  # of a recurring one there is a notice only while it mutes something
                self._follow_up.expect_notice(silence, now_ns)
        return unreadable

    def due_ns(self) -> int | None:
        """Return when `pass_time` may have something to do."""
        return self._desk.due_ns()

    def plan(self, now_ns: int) -> Plan:
        """Return what has followed since the last time, with the records as they are now."""
        desk = self._desk
        plan, desk.plan = desk.plan, Plan()
        plan.records = desk.book.changes()
        if plan.records:
            desk.book.put("", Clock(now_ns))
            plan.records += desk.book.changes()
        return plan

    def take(self, fact: DomainEvent, now_ns: int) -> None:
        """Take in a fact that was recorded at `now_ns`."""
        self.pass_time(now_ns)
        if fact.type == silences.ADDED:
            self.silence(silences.of_fact(fact), now_ns)
        elif fact.type == silences.EXPIRED:
            self.unsilence(fact.subject, now_ns)
        elif fact.type == MACHINE_STATE:
            self._machine(fact, now_ns)
        elif fact.type == SENSOR_MOVED:
            self._desk.plan.messages += notices(fact, self._desk.table, now_ns)
        elif fact.type in _TOLD:
            self._changed(fact, _TOLD[fact.type], now_ns)
        elif fact.type.startswith("Alert") and "shelvedUntil" in fact.data:
            self._refreshed(fact, now_ns)

    def silence(self, silence: Silence, now_ns: int) -> None:
        """Let a silence hold that somebody has added."""
        self.pass_time(now_ns)
        self._mutes.silences.add(silence)
        self._follow_up.expect_notice(silence, now_ns)
        await_end(self._desk, silence)

    def unsilence(self, silence_id: str, now_ns: int) -> None:
        """Let a silence hold no longer; what it muted and is still so is told."""
        self.pass_time(now_ns)
        self._mutes.silences.remove(silence_id)
        self._desk.book.drop(Notice, silence_id)
        self._wake(f"silence/{silence_id}", now_ns)

    def pass_time(self, now_ns: int) -> None:
        """Do what has come due."""
        escalations: dict[str, dict[str, None]] = defaultdict(dict)  # a timer that was set twice rings twice
        reminders: dict[str, dict[str, None]] = defaultdict(dict)
        while (rung := self._desk.ring(now_ns)) is not None:
            what, key, route = rung
            match what:
                case "hold":
                    self._gathering.flush(key, now_ns)
                case "mute":
                    self._unmute_in_time(key, now_ns)
                case "escalate":
                    escalations[route][key] = None
                case "remind":
                    reminders[route][key] = None
                case "notice":
                    self._notice(key, now_ns)
                case "ended":
                    self._forget(key, now_ns)
        for route, alert_ids in reminders.items():
            self._follow_up.remind(route, alert_ids, now_ns)
        for route, alert_ids in escalations.items():
            self._follow_up.escalate(route, alert_ids, now_ns)

    def flush(self, now_ns: int) -> None:
        """Send what is held back now, instead of when its time has come."""
        for key, hold in self._desk.book.all(Hold):
            hold.due_ns = min(hold.due_ns, now_ns)
            self._gathering.flush(key, now_ns)

    def shift(self, by_ns: int) -> None:
        """Move everything that waits, since our clock was set: what was to take ten minutes still does."""
        shift(self._desk.book, by_ns)
        set_timers(self._desk, self._mutes.silences)

    def _changed(self, fact: DomainEvent, kind: ItemKind, now_ns: int) -> None:
        item = item_of(fact, kind)
        case = self._desk.book.get(AlertNotificationState, item.alert_id)
        if kind == "cleared":
            if case is not None:
                self._cleared(case, item, now_ns)
            return
        if case is None:
            self._number += 1
            case = AlertNotificationState(self._number, item, fact.correlation_id, legs={})
            self._flap(item, now_ns)
        case.item, case.known = item, False
        self._read(case, fact)
        self._offer(case, (*case.pending, item), now_ns)

    def _machine(self, fact: DomainEvent, now_ns: int) -> None:
        """Take in that a machine runs or has stopped."""
        key = machine_key(fact.data["site"], fact.data["area"], fact.data["machine"])
        state = fact.data["state"].casefold()
        if state in self._desk.noise.stopped_states:
            self._mutes.stop(key)
            self._desk.book.put(key, Stopped(now_ns, state))
        else:
            self._desk.book.drop(Stopped, key)
            self._wake(self._mutes.start(key), now_ns)

    def _flap(self, item: Item, now_ns: int) -> None:
        if ALERT_KINDS[item.alert_kind].is_of_sensor and self._desk.noise.flap_count:
            flaps = self._desk.book.get(Flaps, item.sensor_id) or Flaps()
            flaps.note(now_ns, self._desk.noise)
            self._desk.book.put(item.sensor_id, flaps)

    def _read(self, case: AlertNotificationState, fact: DomainEvent) -> None:
        """Let a case know what its alert says of acknowledging and shelving."""
        case.acknowledged = bool(fact.data.get("acknowledged"))
        shelved = fact.data.get("shelvedUntil")
        case.shelved_until_ns = None if shelved is None else microseconds(datetime.fromisoformat(shelved)) * 1000

    def _offer(self, case: AlertNotificationState, items: tuple[Item, ...], now_ns: int) -> None:
        """Tell of changes, unless something mutes them."""
        mute = self._mutes.decide(case.item, case.shelved_until_ns, now_ns)
        if mute is None:
            self._unmute(case)
            case.pending = ()
            self._tell(case, items, now_ns)
            return
        fresh = [item for item in items if item not in case.pending]
        self._desk.withhold(case, fresh, mute.by, mute.reason, now_ns, until_ns=mute.until_ns)
        case.pending = items
        self._mute(case, mute, now_ns)

    def _tell(self, case: AlertNotificationState, items: tuple[Item, ...], now_ns: int) -> None:
        matched = self._desk.table.match(case.item, now_ns)
        if not matched:
            self._desk.withhold(case, items, "routes", self._desk.table.why_not(case.item, now_ns), now_ns)
            self._desk.keep(case)
        for route, handlers in matched:
            leg = case.legs.setdefault(route, RouteState())
            leg.handlers = tuple(dict.fromkeys((*leg.handlers, *handlers))) if leg.held else handlers
            self._gathering.place(case, route, items, now_ns)
        if matched:
            case.known = True
            self._mutes.begin(case.item)
            self._desk.keep(case)

    def _cleared(self, case: AlertNotificationState, item: Item, now_ns: int) -> None:
        case.over = True
        desk = self._desk
        unsent: tuple[NotificationKind, ...] = ("raised", "escalated", "reminder", "escalation")
        desk.withdraw(case, unsent, "over", "it was over before it could be sent", now_ns)
        self._unmute(case)
        for route, leg in list(case.legs.items()):
            leg.escalate_ns = leg.remind_ns = None
            if leg.hold or (leg.told and desk.table.by_name[route].resolved):
                leg.handlers = leg.handlers if leg.held else leg.told
                self._gathering.place(case, route, (item,), now_ns)
        desk.keep(case)
        self._end(case, now_ns)

    def _refreshed(self, fact: DomainEvent, now_ns: int) -> None:
        """Take in what people have done with an alert: acknowledged or shelved it, or ended either."""
        case = self._desk.book.get(AlertNotificationState, fact.data["id"])
        if case is None or case.over:
            return
        was_acknowledged = case.acknowledged
        self._read(case, fact)
        if case.acknowledged and not was_acknowledged:
            self._desk.withdraw(
                case, ("reminder", "escalation"), "acknowledgement", "somebody has acknowledged it", now_ns
            )
            for leg in case.legs.values():
                leg.escalate_ns = leg.remind_ns = None
        self._desk.keep(case)
        mute = self._mutes.decide(case.item, case.shelved_until_ns, now_ns)
        if case.mute is not None:
            self._look_again(case.item.alert_id, now_ns)
        elif mute is not None and mute.by == "shelve":
            self._mute(case, mute, now_ns)

    def _mute(self, case: AlertNotificationState, mute: Mute, now_ns: int) -> None:
        self._unmute(case)
        case.mute = mute
        self._muted.setdefault(mute.key, {})[case.item.alert_id] = None
        if mute.until_ns is not None:
            self._desk.wake(mute.until_ns, "mute", case.item.alert_id)
        silence = self._mutes.silences.get(mute.key.removeprefix("silence/"))
        if silence is not None and silence.hours is not None:
            self._follow_up.expect_notice(silence, now_ns)
        self._desk.keep(case)

    def _unmute(self, case: AlertNotificationState) -> None:
        if case.mute is not None:
            self._muted.get(case.mute.key, {}).pop(case.item.alert_id, None)
            case.mute = None

    def _is_muted(self, case: AlertNotificationState, kind: NotificationKind, now_ns: int) -> bool:
        """Tell whether a case that people know of is muted now; if so, nobody is asked again until it ends."""
        mute = self._mutes.decide(case.item, case.shelved_until_ns, now_ns)
        if mute is None:
            return False
        self._desk.withhold(
            case, [case.item], mute.by, mute.reason, now_ns, until_ns=mute.until_ns, deferred=True, kind=kind
        )
        for leg in case.legs.values():
            leg.escalate_ns = leg.remind_ns = None
        self._mute(case, mute, now_ns)
        return True

    def _wake(self, key: str, now_ns: int) -> None:
        """Look again at everything that one thing has muted."""
        for alert_id in self._muted_by(key):
            self._look_again(alert_id, now_ns)

    def _end(self, case: AlertNotificationState, now_ns: int) -> None:
        """Let nothing follow from a case any more."""
        ended = self._mutes.end(case.item)
        if ended is not None:
            self._wake(ended, now_ns)

    def _muted_by(self, key: str) -> list[str]:
        """Return what one thing has muted, in the order of the alerts: a restart knows no other."""
        cases = [
            case
            for alert_id in self._muted.get(key, {})
            if (case := self._desk.book.get(AlertNotificationState, alert_id))
        ]
        return [case.item.alert_id for case in sorted(cases, key=lambda case: case.number)]

    def _unmute_in_time(self, alert_id: str, now_ns: int) -> None:
        case = self._desk.book.get(AlertNotificationState, alert_id)
        if case is not None and case.mute is not None and (case.mute.until_ns or now_ns) <= now_ns:
            self._look_again(alert_id, now_ns)

    def _look_again(self, alert_id: str, now_ns: int) -> None:
        """Tell of a case that is muted no longer, if it is still active."""
        case = self._desk.book.get(AlertNotificationState, alert_id)
        if case is None or case.mute is None or case.over:
            return
        before = case.mute
        mute = self._mutes.decide(case.item, case.shelved_until_ns, now_ns)
        if mute is not None:
            if mute != before:
                self._desk.withhold(case, case.pending, mute.by, mute.reason, now_ns, until_ns=mute.until_ns)
            self._mute(case, mute, now_ns)
            return
        self._unmute(case)
        pending, case.pending = case.pending, ()
        if pending and not case.acknowledged:
            self._tell(case, pending, now_ns)
        elif not pending:
            if before.by == "shelve" and not case.acknowledged:
                self._follow_up.unshelved(case, before.until_ns, now_ns)
            self._follow_up.resume(case, now_ns)
        self._desk.keep(case)

    def _forget(self, silence_id: str, now_ns: int) -> None:
        """Let go of a silence that is over."""
        silence = self._mutes.silences.get(silence_id)
        if silence is None or (silence.ends_ns is not None and silence.ends_ns <= now_ns):
            self._mutes.silences.remove(silence_id)
            self._desk.book.drop(Notice, silence_id)

    def _notice(self, silence_id: str, now_ns: int) -> None:
        muted = self._muted_by(f"silence/{silence_id}")
        self._follow_up.notice(self._mutes.silences.get(silence_id), muted, now_ns)

    def _renew(self, now_ns: int) -> None:
        """Let what was remembered go on with the routes, silences and noise there are now."""
        book = self._desk.book
        lost = renewal.fit(self._desk, now_ns)
        for machine, _ in book.all(Stopped):
            self._mutes.stop(machine)
        self._gathering.restore(book.all(AlertNotificationState))
        for case, legs in lost:
            self._pass_on(case, legs, now_ns)
        for _, case in sorted(book.all(AlertNotificationState), key=lambda entry: entry[1].number):
            if case.mute is not None and not self._mutes.holds(case.mute, case.item, now_ns):
                self._look_again(case.item.alert_id, now_ns)

    def _pass_on(self, case: AlertNotificationState, lost: dict[str, RouteState], now_ns: int) -> None:
        """Let the routes there are now take over what others did for a case; who knows of it is not told again."""
        held = tuple({item.change: item for leg in lost.values() for item in leg.held}.values())
        items = held or (() if case.over or case.acknowledged else (case.item,))
        mute = case.mute or self._mutes.decide(case.item, case.shelved_until_ns, now_ns)
        settled = {name for leg in case.legs.values() for name in (*leg.told, *leg.handlers)}
        for route, handlers in self._desk.table.match(case.item, now_ns):
            leg = renewal.heir(lost, handlers)
            new = tuple(one for one in handlers if one not in settled and (held or one not in leg.told))
            if route in case.legs or not (leg.told or (new and items and mute is None)):
                continue
            case.legs[route] = leg
            renewal.follow(self._desk, case, route, now_ns)
            if new and items and mute is None:
                leg.handlers = new
                self._gathering.place(case, route, items, now_ns)
        if mute is not None and not case.over and (held or not case.legs):
            self._put_aside(case, items, mute, now_ns)
        elif items and not case.legs:
            self._leave_untold(case, items, now_ns)
        self._desk.keep(case)

    def _put_aside(self, case: AlertNotificationState, items: tuple[Item, ...], mute: Mute, now_ns: int) -> None:
        """Keep changes for the end of what mutes a case."""
        fresh = tuple(item for item in items if item not in case.pending)
        self._desk.withhold(case, fresh, mute.by, mute.reason, now_ns, until_ns=mute.until_ns)
        case.pending = (*fresh, *case.pending)
        self._mute(case, mute, now_ns)

    def _leave_untold(self, case: AlertNotificationState, items: tuple[Item, ...], now_ns: int) -> None:
        """Take down that no route is left for a case; nothing follows from what nobody is told of."""
        self._desk.withhold(case, items, "routes", self._desk.table.why_not(case.item, now_ns), now_ns)
        case.known = False
        self._end(case, now_ns)
