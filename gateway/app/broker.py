"""Everything between the gateway and its broker: the connections, and what is watched about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.config import Config
from gateway.ingest.subscriptions import BROKER, obsolete_filters
from gateway.journal import Journal
from gateway.mqtt.incidents import Incidents
from gateway.mqtt.losses import Dropped, Session, recall
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.subscriber import Subscriber, make_subscriber
from gateway.mqtt.twins import Twins
from gateway.plugins.registry import Plugins

if TYPE_CHECKING:
    from gateway.mqtt.sparkplug_host import SparkplugHost


class BrokerSide(Struct, frozen=True):
    """`filters` are subscribed to, `obsolete` ones are not any more. `name` is that of the session, for the journal."""

    filters: list[str]
    obsolete: list[str]
    name: str
    incidents: Incidents
    twins: Twins
    session: Session
    dropped: Dropped
    subscriber: Subscriber
    publisher: Publisher
    edge_nodes: SparkplugHost | None


def broker_side(config: Config, journal: Journal, wanted: Sequence[str], plugins: Plugins) -> BrokerSide:
    """Build it; nothing is connected yet. Three client ids: the gateway's, and two that follow from it."""
    mqtt, gateway_id = config.mqtt, config.gateway.id
    client_id = mqtt.client_id or f"vibration-gateway-{gateway_id}"
    filters = list(dict.fromkeys(wanted))
    obsolete = obsolete_filters(journal, filters)
    name = f"{client_id} at {mqtt.host}:{mqtt.port}"
    known = recall(journal.note(BROKER), name)
    incidents = Incidents()
    twins = Twins(incidents)
    lasts = mqtt.session_expiry > 0
    session = Session(client_id, incidents, is_known=known.session != "", lasts=lasts, twins=twins)
    dropped = Dropped(incidents, known.dropped)
    out = mqtt.for_publishing()
    return BrokerSide(
        filters=filters,
        obsolete=obsolete,
        name=name,
        incidents=incidents,
        twins=twins,
        session=session,
        dropped=dropped,
        subscriber=make_subscriber(mqtt, client_id, filters, obsolete, session),
        publisher=Publisher(out, f"{client_id}-out", gateway_id, incidents, dropped=dropped, twins=twins),
        edge_nodes=_host(config, f"{client_id}-host", plugins),
    )


def _host(config: Config, client_id: str, plugins: Plugins) -> SparkplugHost | None:
    if not any(each.format == "sparkplug" for each in plugins.inputs):
        return None
    from gateway.mqtt.sparkplug_host import SparkplugHost  # noqa: PLC0415 - only where there are edge nodes

    return SparkplugHost(config.mqtt.for_publishing(), client_id, config.gateway.id)
