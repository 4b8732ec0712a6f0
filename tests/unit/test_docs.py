"""The documentation and the program say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest
from pydantic import BaseModel

from gateway.cli import cli
from gateway.config import Config, load
from gateway.domain.engine.event_types import FACT_TYPES
from gateway.domain.inputs.native import REASONS
from gateway.domain.model.quantities import BY_KEY, QUANTITIES
from gateway.domain.model.reading import ReadingData
from gateway.handlers import BUILT_IN
from gateway.outgoing.client import LARGEST_ANSWER, LONGEST_WAIT, SECONDS
from gateway.telemetry.metrics import Metrics
from simulator.cli import main as simulator

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def section(title: str) -> str:
    """Return the text below a heading of the reference, up to the next one of its level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def names_in(text: str) -> set[str]:
    """Return what stands in backticks in the first column of a section's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def commands(group: click.Group, prefix: str) -> dict[str, click.Command]:
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix} {name}")
        else:
            found[f"{prefix} {name}"] = command
    return found


def keys(model: type[BaseModel]) -> set[str]:
    """Return the names of the keys of every table below a model."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = [part for part in _types(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
        found |= {field.alias or name}.union(*(keys(part) for part in inner))
    return found


def _types(annotation: Any) -> list[Any]:
    arguments = get_args(annotation)
    return [annotation, *(part for argument in arguments for part in _types(argument))]


def test_every_command_is_documented() -> None:
    documented = {re.sub(r"( [A-Z_]+)+$", "", name) for name in names_in(section("Commands")) if " " in name}
    assert documented == commands(cli, "vibration-gateway").keys()


def test_every_command_takes_the_configuration() -> None:
    found = commands(cli, "vibration-gateway").items()
    assert not [name for name, command in found if not any("-c" in option.opts for option in command.params)]


def test_the_limits_of_what_goes_out_are_documented() -> None:
    text = section("What goes out")
    found = re.findall(r"^\| `(\w+)` \| ([\d.]+) s \|", text, re.MULTILINE)
    assert {whom: float(seconds) for whom, seconds in found} == SECONDS
    assert f"{LARGEST_ANSWER // 1024} KB" in text
    assert LONGEST_WAIT == 3600
    assert "`Retry-After` counts for an hour" in text


def test_every_key_is_documented() -> None:
    text = section("Configuration")
    documented = set(re.findall(r"`([a-z0-9_]+)`", text)) | set(re.findall(r"\[([a-z]+)", text))
    missing = keys(Config) - {"settings", *BY_KEY} - documented  # quantities are in the table of the event
    assert not missing


def test_no_key_is_documented_that_is_not_read() -> None:
    known = keys(Config) | {"ca", "cert", "key", "security", "from", "to", "subject_prefix", "subject", "body", "chart"}
    known |= {
        "base_url",
        "account_sid",
        "auth_token",
        "text",
        "url",
        "secret",
        "headers",
        "allow_private",
        "urls",
        "title",
    }
    unknown = names_in(section("Configuration")) - known - set(BUILT_IN)
    assert not {name for name in unknown if re.fullmatch(r"[a-z_]+", name)}


def test_every_metric_is_documented() -> None:
    documented = {re.sub(r"\{.*", "", name) for name in names_in(section("Metrics"))}
    collected = Metrics().registry.collect()
    real = {
        metric.name.removeprefix("vibration_gateway_") + ("_total" if metric.type == "counter" else "")
        for metric in collected
    }
    assert documented == real


def test_every_reason_is_documented() -> None:
    assert names_in(section("Dead letters")) == set(REASONS)


def test_every_derived_event_is_documented() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("Events that the gateway derives"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == set(FACT_TYPES)


def test_every_field_of_the_event_is_documented() -> None:
    documented = names_in(section("The event"))
    assert {f"data.{encoded.encode_name}" for encoded in msgspec.structs.fields(ReadingData)} <= documented


SIDES = {None: "none", "above": "upper", "below": "lower", "both": "upper and lower"}


def test_the_table_of_quantities_is_that_of_the_program() -> None:
    rows = [
        f"| `data.{each.wire}` | `{each.key}` | {each.label} | {each.unit} | {SIDES[each.alarms]} |"
        for each in QUANTITIES
    ]
    documented = re.findall(r"^\| `data\.\w+` \| `\w+` \|.*$", section("The event"), re.MULTILINE)
    assert documented == rows, "replace the rows of docs/reference.md by:\n" + "\n".join(rows)


def test_every_built_in_handler_is_documented() -> None:
    assert set(BUILT_IN) <= names_in(section("Configuration"))


def test_the_commented_example_is_a_configuration(tmp_path: Path) -> None:
    example = (ROOT / "config/gateway.toml").read_text(encoding="utf-8")
    password = tmp_path / "smtp-password"
    password.write_text("secret")
    file = tmp_path / "gateway.toml"
    file.write_text(example.replace("/etc/vibration-gateway/smtp-password", str(password)))
    environment = {"INFLUX_TOKEN": "t", "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "a"}
    assert load(file, environment).gateway.id == "edge-1"


def test_what_is_commented_out_in_the_example_is_the_default(tmp_path: Path) -> None:
    example = (ROOT / "config/gateway.toml").read_text(encoding="utf-8")
    table = re.search(r"^\[detection\]\n(.*?)\n\n", example, re.MULTILINE | re.DOTALL)
    assert table
    lines = [line.removeprefix("# ").split("  #")[0] for line in table[1].splitlines()]
    uncommented = "\n".join(line for line in lines if not line.startswith("iso_group"))  # there is none by default
    file = tmp_path / "gateway.toml"
    head = f'[gateway]\nid = "g"\nstate_dir = "{tmp_path}"\n[mqtt]\ntopics = ["a/{{sensor}}"]\n'
    file.write_text(head)
    default = load(file, {}).detection
    file.write_text(f"{head}[detection]\n{uncommented}\n")
    assert tomllib.loads(uncommented).keys() == type(default).model_fields.keys() - {"iso_group"}
    assert load(file, {}).detection == default


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_exist(page: Path) -> None:
    known = commands(cli, "vibration-gateway") | commands(simulator, "vibration-simulator")
    text = page.read_text(encoding="utf-8")
    used = re.findall(r"\.venv/bin/(vibration-[a-z]+(?: [a-z]+){1,2})", text)
    assert not [words for words in used if not any(words.startswith(command) for command in known)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configurations_in_the_text_are_valid(page: Path, tmp_path: Path) -> None:
    """Those that stand alone are loaded whole; the others must at least be TOML."""
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if tomllib.loads(block).keys() >= {"gateway", "mqtt"}:
            file = tmp_path / "gateway.toml"
            file.write_text(block)
            load(file, dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "secret"))
