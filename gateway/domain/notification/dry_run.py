"""The planner over a history: who would have been told what, and why somebody not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.model import Planned, Withheld
from gateway.domain.notification.planner import Planner
from gateway.domain.notification.routing import RouteTable
from gateway.domain.notification.silences import Silence


def notifications(
    facts: Iterable[DomainEvent], table: RouteTable, noise: Noise, standing: Sequence[Silence] = ()
) -> Iterator[Planned | Withheld]:
    """Yield what people would have been told of a history of facts, in its order, and what not and why.

    Nobody acknowledges in a history: it shows every escalation and reminder up to its last fact, and what was still
    held back then.
    """
    planner = Planner(table, noise, standing)
    now_ns = 0
    for fact in facts:
        now_ns = max(now_ns, fact.time_ns)
        yield from _passed(planner, now_ns)
        planner.take(fact, now_ns)
        yield from _decided(planner, now_ns)
    planner.flush(now_ns)
    yield from _decided(planner, now_ns)


def _passed(planner: Planner, until_ns: int) -> Iterator[Planned | Withheld]:
    """Let time pass up to a moment, each timer at its own time."""
    while (due_ns := planner.due_ns()) is not None and due_ns <= until_ns:
        planner.pass_time(due_ns)
        yield from _decided(planner, due_ns)


def _decided(planner: Planner, now_ns: int) -> Iterator[Planned | Withheld]:
    plan = planner.plan(now_ns)
    yield from plan.withheld
    yield from plan.messages
