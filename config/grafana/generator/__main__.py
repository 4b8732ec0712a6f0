"""Writes the dashboards: `python config/grafana/generator`. A test compares them with what this makes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dashboards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from queries import annotation

FOLDER = Path(__file__).parents[1] / "dashboards"
PAGES = {  # name of the file -> (page, the choices that hold for the marks of alerts in its graphs)
    "fleet": (dashboards.fleet, ("machine", "sensor")),
    "machine": (dashboards.machine, ("machine",)),
    "sensor": (dashboards.sensor, ("sensor",)),
    "alerts": (dashboards.alerts, ("machine",)),
    "gateway": (dashboards.gateway, None),
}
LINKS = {"title": "Vibration", "type": "dashboards", "tags": ["vibration"], "asDropdown": True, "includeVars": True}


def render() -> Mapping[str, str]:
    """Return name of the file -> dashboard as JSON."""
    made = {}
    for name, (build, chosen) in PAGES.items():
        page: dict[str, Any] = json.loads(json.dumps(build().build(), cls=JSONEncoder))
        page["links"] = [{**LINKS, "keepTime": True}]
        if chosen is not None:
            page["annotations"] = {"list": [annotation(*chosen)]}
        made[name] = json.dumps(page, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
    return made


if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
