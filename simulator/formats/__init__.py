"""How a fleet publishes: as the gateway's own event, or as devices do that people own.

A format is a function that makes messages of what a machine's sensors measure at one moment. The table says what else
a format is: which axes its sensors have, by which id a gateway knows them, and what they say of themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulator.formats import event, general, home, industrial, lorawan, sparkplug
from simulator.formats.sample import Memory, Place, Sample
from simulator.publishing import Message

THREE = ("x", "y", "z")


def _own_id(place: Place) -> str:
    return place.sensor


def _nothing(_place: Place) -> list[Message]:
    return []


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    `sensor_id` is what a gateway knows a sensor by, before "-axis" is added. `online` is published with each
    connection, `offline` at the end and as the last will. With `states` the machines say what they do. With
    `together` all of a machine's sensors are in one sample, and may share a message; else each has its own. A message
    on the topic that `command` names is handed to `obey`, with the memory of the machine.
    """

    messages: Callable[[Sample], list[Message]]
    axes: tuple[str, ...] = ()
    sensor_id: Callable[[Place], str] = _own_id
    online: Callable[[Place], list[Message]] = _nothing
    offline: Callable[[Place], Message] | None = None
    states: bool = False
    together: bool = False
    command: Callable[[Place], str] | None = None
    obey: Callable[[Memory, bytes], None] | None = None


EVENT = Format(event.event, online=event.online, offline=event.offline, states=True)
FORMATS = {
    "event": EVENT,
    "chirpstack": Format(lorawan.chirpstack, THREE, lorawan.dev_eui),
    "advantech-wise-2410": Format(lorawan.wise_2410, THREE, lorawan.dev_eui),
    "ttn": Format(lorawan.the_things_stack, THREE, lorawan.device_id),
    "ncd": Format(general.ncd, THREE, general.mac),
    "kepware": Format(industrial.kepware, ("x", "z"), industrial.tag_name, together=True),
    "neuron": Format(industrial.neuron, THREE, industrial.node_and_group),
    "telegraf-json": Format(industrial.telegraf_json, ("x", "z"), together=True),
    "telegraf-line": Format(industrial.telegraf_line, ("x", "z"), together=True),
    "opcua-pubsub": Format(industrial.opcua_pubsub, together=True),
    "ifm-vvb001": Format(industrial.ifm_vvb001, (), industrial.port, together=True),
    "senml": Format(general.senml, THREE, general.urn),
    "thingsboard-gateway": Format(general.thingsboard_gateway, ("x", "y"), together=True),
    "cloudevents": Format(general.cloudevents),
    "csv": Format(general.csv, together=True),
    "sparkplug-b": Format(
        sparkplug.sparkplug_b,
        ("x", "z"),
        sparkplug.node_and_device,
        offline=sparkplug.node_death,
        command=sparkplug.command_topic,
        obey=sparkplug.obey,
    ),
    "tasmota": Format(home.tasmota, THREE, online=home.tasmota_online, offline=home.tasmota_offline),
    "esphome": Format(home.esphome, (), home.node_name, home.esphome_online, home.esphome_offline),
    "zigbee2mqtt": Format(home.zigbee2mqtt, (), home.friendly_name, home.zigbee_online, home.zigbee_offline),
}
