"""A sensor that was moved, and the routes that do not match it any more: who was told of it until now is told so."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.domain.model.assets import asset_of, in_words
from gateway.domain.model.events import DomainEvent, derived_id
from gateway.domain.notification.model import Planned, alert_of
from gateway.domain.notification.routing import RouteTable

_DAY_NS = 86_400 * 10**9


def notices(fact: DomainEvent, table: RouteTable, now_ns: int) -> Iterator[Planned]:
    """Yield a message for everybody to whom a route of before leads that does not match the sensor where it is now.

    The same move is told once a day: its id is the same then.
    """
    data, published = fact.data, fact.data["publishedId"]
    before, now = (alert_of(published, data[side], "machine", "critical", now_ns) for side in ("from", "to"))
    left = table.left(before, now)
    kept = "" if table.match(now, now_ns) else " No route takes them at present."
    handlers = {
        handler: name for name in reversed(left) for handler in table.resolve(table.by_name[name].handlers, now_ns)
    }
    for handler, name in handlers.items():
        places = [in_words(asset_of(data[side])) for side in ("from", "to")]
        reason = (
            f"{fact.subject} was moved from {places[0]} to {places[1]}. Its alerts do not go by"
            f" {', '.join(left)} any more.{kept}"
        )
        id_ = derived_id("moved", fact.subject, *places, str(now_ns // _DAY_NS), handler)
        yield Planned(id_, handler, name, "notice", (), 0, reason, fact.id, fact.id, now_ns)
