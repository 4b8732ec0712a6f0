"""What a message looks like, for whoever finds it among the dead letters."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.domain.inputs.formats import MAX_BYTES
from gateway.domain.inputs.learning.recognising import recognised
from gateway.domain.inputs.learning.unexplained import is_modbus

_BY_KEYS: Final = (
    ("a ChirpStack uplink", "chirpstack", ("deviceInfo", "rxInfo")),
    ("a ChirpStack uplink", "chirpstack", ("deviceInfo", "fPort")),
    ("an uplink of The Things Stack", "ttn", ("end_device_ids", "uplink_message")),
    ("a CloudEvent", "cloudevents", ("specversion", "source", "type")),
    ("OPC UA PubSub", "opcua-pubsub", ("MessageId", "MessageType")),
    ("tags of EMQX Neuron", "neuron", ("node", "group", "values")),
    ("a batch of Telegraf", "telegraf-json", ("metrics",)),
    ("tags of Kepware", "kepware", ("timestamp", "values")),
    ("an NCD sensor", "ncd", ("sensor_data", "sensor_type")),
    ("an uplink through a Milesight gateway", "milesight", ("devEUI", "applicationID")),
    ("a Monitron export", "monitron", ("eventPayload", "eventType")),
    ("an event of this product", "event", ("eventType", "data", "timestamp")),
    ("a Home Assistant discovery message", "homeassistant", ("stat_t", "uniq_id")),
    ("a Home Assistant discovery message", "homeassistant", ("state_topic", "unique_id")),
    ("a notification of an IO-Link master", "ifm-vvb001", ("cid", "data", "code")),
    ("Tasmota telemetry", "tasmota", ("Time", "TempUnit")),
)
_BY_TOPIC: Final = (
    ("spBv1.0/", "Sparkplug B", "sparkplug-b"),
    ("zigbee2mqtt/", "Zigbee2MQTT", "zigbee2mqtt"),
    ("homeassistant/", "a Home Assistant discovery message", "homeassistant"),
    ("v1/gateway/", "ThingsBoard's gateway API", "thingsboard-gateway"),
    ("tele/", "Tasmota telemetry", "tasmota"),
)
_FORMATS: Final = {
    "cbor": "CBOR",
    "msgpack": "MessagePack",
    "line": "InfluxDB's line protocol",
    "csv": "CSV",
    "pairs": "names and values",
    "python": "a dict as Python prints it",
    "value": "one value",
}
LARGEST_FORMAT: Final = 64 * 1024
"""Bytes of a payload whose format is looked for."""
_SENML: Final = {"bn", "n", "bt", "bu"}


def looks_like(topic: str, payload: bytes) -> str:
    """Return what a message looks like and what helps, or "" where nothing is known."""
    for start, what, preset in _BY_TOPIC:
        if topic.startswith(start):
            return _advice(what, preset)
    found = _opened(payload)
    if isinstance(found, list) and found and isinstance(found[0], dict) and len(_SENML & found[0].keys()) > 1:
        return _advice("SenML", "senml")
    keys = found.keys() if isinstance(found, dict) else set()
    for what, preset, wanted in _BY_KEYS:
        if keys >= set(wanted):
            return _advice(what, preset)
    return _by_format(topic, payload)


def _by_format(topic: str, payload: bytes) -> str:
    """Return what format a payload has that is neither JSON nor too large to look at again and again."""
    if len(payload) > LARGEST_FORMAT:
        return ""
    found = recognised(topic, payload)
    if found is not None and found.format in _FORMATS:
        return f'it looks like {_FORMATS[found.format]}: format = "{found.format}"'
    return "it looks like an answer of Modbus RTU: inputs learn writes its frame" if is_modbus(payload) else ""


def _opened(payload: bytes) -> Any:
    if len(payload) > MAX_BYTES or payload[:1] not in (b"{", b"["):
        return None
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _advice(what: str, preset: str) -> str:
    return f'it looks like {what}: preset = "{preset}"'
