"""Decoders of third parties, found by entry point: the way out for messages that no table can describe."""

from __future__ import annotations

from importlib.metadata import entry_points

from gateway.domain.inputs.specs import Decode
from gateway.errors import ConfigError

DECODER_GROUP = "vibration_gateway.decoders"


def load_decoder(name: str) -> Decode:
    """Return a decoder. Raises ConfigError where there is none of that name, or where it cannot be loaded."""
    offered = {point.name: point for point in entry_points(group=DECODER_GROUP)}
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none are installed"
        raise ConfigError([f"there is no decoder {name!r} (there are: {known})"])
    try:
        decode: Decode = offered[name].load()
    except Exception as error:  # noqa: BLE001 - the boundary: an import of a third party's may do anything
        raise ConfigError([f"{name} cannot be loaded: {type(error).__name__}: {error}"]) from None
    if not callable(decode):
        raise ConfigError([f"{name} is not a function decode(topic, payload, received_ns, state)"])
    return decode
