"""Which routes an alert takes: (item, routes, time) -> route and handlers, each with what it decides by.

Routes and silences by the hundred thousand are found by the values they name, so that an alert is compared only with
those that can match it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.domain.model.events import SEVERITIES, Severity
from gateway.domain.notification.matching import Index, Matchers
from gateway.domain.notification.model import Item
from gateway.domain.notification.oncall import Hours, Rota


class EscalationStep(Struct, frozen=True):
    """Whom to tell when nobody has acknowledged `after_ns` after the message before."""

    after_ns: int
    handlers: tuple[str, ...]


class Route(Struct, frozen=True):
    """Alerts of this severity and worse that match, within `times`, go to these handlers (or rotas).

    In the `quiet` hours warnings wait. `repeat_ns` 0 is never. `fallback` is told what a handler refuses for good.
    """

    severity: Severity
    handlers: tuple[str, ...]
    name: str = ""
    matchers: Matchers = Matchers()
    times: Hours | None = None
    quiet: Hours | None = None
    resolved: bool = False
    group_by: str = "machine"
    group_wait_ns: int = 30 * 10**9
    repeat_ns: int = 0
    steps: tuple[EscalationStep, ...] = ()
    fallback: str = ""


class RouteTable:
    """The routes in their order, and the rotas that their handlers may name."""

    def __init__(self, routes: Sequence[Route], rotas: Sequence[Rota] = ()) -> None:
        self.by_name = {route.name or f"route {number}": route for number, route in enumerate(routes, start=1)}
        self._rotas = {rota.name: rota for rota in rotas}
        self._index: Index[tuple[int, str, Route]] = Index()
        for number, (name, route) in enumerate(self.by_name.items()):
            self._index.add(name, route.matchers, (number, name, route))

    def match(self, item: Item, now_ns: int) -> list[tuple[str, tuple[str, ...]]]:
        """Return (route, handlers) in the order of the routes. A handler is told by the first route that leads to it.

        A handler is not asked to tell that it does not work.
        """
        entries = {entry[0]: entry for entry in self._index.candidates(item)}
        found = [entries[number] for number in sorted(entries) if refusal(entries[number][2], item, now_ns) is None]
        taken = {item.sensor_id.removeprefix("handler ")} if item.alert_kind == "gateway" else set()
        matched = []
        for _, name, route in found:
            handlers = tuple(one for one in self.resolve(route.handlers, now_ns) if one not in taken)
            taken.update(handlers)
            if handlers:
                matched.append((name, handlers))
        return matched

    def left(self, before: Item, now: Item) -> list[str]:
        """Return the routes, in their order, that matched what is in another place now, and do not match it there."""
        found = {name: route for _, name, route in self._index.candidates(before)}
        lost = {name for name, route in found.items() if route.matchers.match(before) and not route.matchers.match(now)}
        return [name for name in self.by_name if name in lost] if lost else []

    def why_not(self, item: Item, now_ns: int) -> str:
        """Return why no route leads anywhere, in a sentence."""
        if not self.by_name:
            return "there are no routes"
        reasons = [f"{name}: {refusal(route, item, now_ns) or 'no handler of it'}" for name, route in self._first_few()]
        more = len(self.by_name) - len(reasons)
        return "no route matches: " + "; ".join(reasons) + (f"; and {more} more" if more else "")

    def overlapping(self, matchers: Matchers, now_ns: int) -> list[tuple[str, tuple[str, ...]]]:
        """Return (route, handlers) of those that can lead to what these matchers match."""
        return [
            (name, self.resolve(route.handlers, now_ns))
            for name, route in self.by_name.items()
            if route.matchers.overlap(matchers)
        ]

    def reach(self, name: str) -> set[str]:
        """Return every handler that a route may ever lead to: everybody of a rota, and of its escalation."""
        route = self.by_name[name]
        named = {*route.handlers, *(one for step in route.steps for one in step.handlers)}
        rotas = [self._rotas[one] for one in named if one in self._rotas]
        return (named - self._rotas.keys()).union(*(rota.handlers for rota in rotas))

    def next_after(self, name: str, handler: str, now_ns: int) -> tuple[str, ...]:
        """Return whom to tell what a handler has refused for good: the fallback, else the steps of the escalation."""
        route = self.by_name.get(name)
        if route is None:
            return ()
        chain = [self.resolve([route.fallback] if route.fallback else [], now_ns)]
        chain += [self.resolve(step.handlers, now_ns) for step in route.steps]
        at = next((number for number, handlers in enumerate(chain) if handler in handlers), -1)
        return next((handlers for handlers in chain[at + 1 :] if handlers), ())

    def resolve(self, names: Sequence[str], now_ns: int) -> tuple[str, ...]:
        """Return the handlers that are meant: the name of a rota stands for whose turn it is."""
        return tuple(
            dict.fromkeys(self._rotas[name].on_call(now_ns) if name in self._rotas else name for name in names)
        )

    def _first_few(self) -> list[tuple[str, Route]]:
        return list(self.by_name.items())[:5]


def refusal(route: Route, item: Item, now_ns: int) -> str | None:
    """Return why a route does not take an item, or None if it does."""
    if SEVERITIES.index(item.severity) < SEVERITIES.index(route.severity):
        return f"takes {route.severity} only"
    if not route.matchers.match(item):
        return "is for something else"
    if route.times is not None and not route.times.contain(now_ns):
        return "is outside its times"
    return None
