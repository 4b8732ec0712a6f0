"""A Sparkplug edge node of the library pysparkplug, as a program of its own: it needs an older paho than the gateway.

`python edge_node.py PORT` is born, sends what its device measures until it is killed, and is born anew when asked to.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers.processes import Process

GROUP, NODE, DEVICE = "works", "edge1", "fan"
NAMES = ("DE/Velocity", "DE/Angle", "DE/Spectrum")


@contextmanager
def edge_node(port: int, folder: Path) -> Iterator["Process"]:
    """Run the node until the block ends, and then end it as a power cut does."""
    from tests.servers.processes import Process, ServerMissingError  # noqa: PLC0415 - the program itself has neither

    python = Path(os.environ.get("EDGE_NODE_PYTHON", f"{sys.prefix}/edge/bin/python"))
    if not python.exists():
        raise ServerMissingError(f"pysparkplug is not installed in {python.parent.parent}: run `make servers`")
    born = folder / "born"
    program = Process([python, __file__, str(port), born], log=folder / "edge_node.log")
    program.start(born.exists)
    try:
        yield program
    finally:
        program.kill()


def main(port: int, born: Path) -> None:
    import pysparkplug as sp  # type: ignore[import-not-found] # noqa: PLC0415 - only where this is the program

    asked = threading.Event()

    def command(_node: object, message: sp.Message) -> None:
        if any(metric.name == "Node Control/Rebirth" and metric.value is True for metric in message.payload.metrics):
            asked.set()

    def velocity(value: float, name: str | None = NAMES[0]) -> sp.Metric:
        now = sp.get_current_timestamp()
        return sp.Metric(now, name, sp.DataType.FLOAT, value=value, alias=1)

    now = sp.get_current_timestamp()
    metrics = [
        velocity(2.5),
        sp.Metric(now, NAMES[1], sp.DataType.INT8, value=-7, alias=2),
        sp.Metric(now, NAMES[2], sp.DataType.FLOAT_ARRAY, value=(0.5, 0.25), alias=3),
    ]
    client = sp.Client()
    node = sp.EdgeNode(GROUP, NODE, [], client, cmd_callback=command)
    node.register(sp.Device(DEVICE, metrics))
    topic = sp.Topic(message_type=sp.MessageType.DDATA, group_id=GROUP, edge_node_id=NODE, device_id=DEVICE)
    while True:
        asked.clear()
        node.connect("127.0.0.1", port=port)
        seq = 2  # after the births of the node and of the device
        while not asked.wait(0.1):
            data = sp.DData(sp.get_current_timestamp(), seq=seq % 256, metrics=(velocity(seq / 4, name=None),))
            client.publish(sp.Message(topic=topic, payload=data, qos=sp.QoS.AT_MOST_ONCE, retain=False))
            born.touch()
            seq += 1
        node.disconnect()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
