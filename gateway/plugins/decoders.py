"""Decoders of third parties, found by entry point: the way out for messages that no table can describe."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from gateway.domain.inputs.specs import Decode
from gateway.errors import ConfigError
from gateway.plugins.contract import loaded_decoder
from gateway.plugins.foreign import ForeignDecoder, apart

DECODER_GROUP = "vibration_gateway.decoders"


def load_decoder(name: str) -> Decode:
    """Return a decoder. Raises ConfigError where there is none of that name, or where it cannot be loaded."""
    decode: Decode = loaded_decoder(_offered(name))
    return decode


def decoder_apart(name: str) -> Decode:
    """Return a decoder that runs in a process of its own. Raises ConfigError as the other."""
    return ForeignDecoder(apart("decoder", f"decoder {name}", _offered(name), {}))


def _offered(name: str) -> EntryPoint:
    offered = {point.name: point for point in entry_points(group=DECODER_GROUP)}
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none are installed"
        raise ConfigError([f"there is no decoder {name!r} (there are: {known})"])
    return offered[name]
