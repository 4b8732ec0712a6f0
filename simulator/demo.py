"""The built-in fleet, for those who want to see something at once."""

from simulator.fleet import Fleet

SOON = "15s"
AFTER_LEARNING = "150s"
"""When the bearing begins to fail: a gateway that is not told a baseline needs 100 readings for a provisional one."""


def demo_fleet(failing_after: str = SOON) -> Fleet:
    """Make the built-in fleet: six sensors on four machines, one of which fails while you watch.

    The level of pump-1's drive-end bearing passes 1.6 x its baseline 25 s after it has begun to fail, 2.5 x after 58 s,
    and ends near 4 x.
    """
    failing = {"kind": "growth", "after": failing_after, "over": "36s", "to": 4.0}
    return Fleet.model_validate(
        {
            "site": "demo-plant",
            "machines": [
                {
                    "id": "pump-1",
                    "area": "pump-house",
                    "description": "Cooling Water Pump 1",
                    "sensors": [
                        _demo_sensor("VB-PUMP1-DE", "drive-end bearing", 2.4, noise=0.03) | {"wear": failing},
                        _demo_sensor("VB-PUMP1-NDE", "non-drive-end bearing", 1.9),
                    ],
                },
                {
                    "id": "fan-2",
                    "area": "pump-house",
                    "description": "Cooling Tower Fan 2",
                    "rpm": 980.0,
                    "sensors": [_demo_sensor("VB-FAN2-DE", "drive-end bearing", 3.1, noise=0.05)],
                },
                {
                    "id": "conveyor-4",
                    "area": "assembly",
                    "description": "Motor Assembly Line B, Conveyor Unit 4",
                    "rpm": 1450.0,
                    "sensors": [
                        _demo_sensor("VB-42345", "gearbox input", 4.0),
                        _demo_sensor("VB-42346", "gearbox output", 3.6),
                    ],
                },
                {
                    "id": "compressor-1",
                    "area": "assembly",
                    "description": "Screw Compressor 1",
                    "rpm": 2960.0,
                    "sensors": [_demo_sensor("VB-COMP1-MAIN", "main bearing", 5.2, noise=0.05)],
                },
            ],
        }
    )


def _demo_sensor(sensor_id: str, position: str, baseline: float, *, noise: float = 0.04) -> dict[str, object]:
    return {"id": sensor_id, "position": position, "baseline": baseline, "noise": noise, "interval": "1s"}
