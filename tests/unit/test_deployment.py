"""What is shipped for deployment fits the programs' options and configuration, and this project's files."""

import configparser
import json
import re
import runpy
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import gateway.cli
import simulator.cli
from gateway import config

ROOT = Path(__file__).parents[2]
PROGRAMS: dict[str, click.Command] = {
    "vibration-gateway": gateway.cli.cli,
    "vibration-simulator": simulator.cli.main,
}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MOUNTS = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]


def dockerfile() -> list[tuple[str, str]]:
    """Return (instruction, arguments) with continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, rest in (line.strip().split(maxsplit=1) for line in lines)]


def instruction(name: str) -> str:
    """Return the arguments of the last such instruction, which is the one that counts."""
    return [arguments for found, arguments in dockerfile() if found == name][-1]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # as its documentation says to do
    parser.read(ROOT / "config/systemd/vibration-gateway.service")
    return parser


def interpolated(value: str) -> str:
    """Return a value of the compose file where the environment is empty."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def documented_commands() -> list[str]:
    fences = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/deployment.md").read_text(), re.DOTALL)
    lines = "\n".join(fences).splitlines()
    return [
        line[found.start() :] for line in lines if (found := re.search(r"vibration-(gateway|simulator) [a-z]", line))
    ]


def check_arguments(arguments: list[str]) -> None:
    """Follow the subcommands and parse the rest, without running or validating anything."""
    program, *rest = arguments
    command, context = PROGRAMS[Path(program).name], click.Context(PROGRAMS[Path(program).name])
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    command.make_parser(context).parse_args(rest)


SHIPPED_COMMANDS = {
    "Dockerfile": json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD")),
    "compose simulator": ["vibration-simulator", *SERVICES["simulator"]["command"]],
    "systemd": shlex.split(unit()["Service"]["ExecStart"]),
    **{f"docs: {line}": shlex.split(line) for line in documented_commands()},
}


@pytest.mark.parametrize("arguments", SHIPPED_COMMANDS.values(), ids=SHIPPED_COMMANDS)
def test_every_shipped_command_line_is_one_that_the_programs_know(arguments: list[str]) -> None:
    check_arguments(arguments)


@pytest.mark.parametrize("wrong", ["vibration-gateway runs", "vibration-gateway run --confg x"])
def test_a_wrong_command_line_would_be_found(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        check_arguments(wrong.split())


def test_the_container_reads_its_configuration() -> None:
    image = dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))
    service = {name: interpolated(value) for name, value in SERVICES["gateway"]["environment"].items()}
    loaded = config.load(ROOT / "config/docker/gateway.toml", image | service)
    assert loaded.mqtt.host in SERVICES
    assert loaded.influxdb is not None
    assert loaded.influxdb.url.host in SERVICES
    assert loaded.http is not None
    assert loaded.http.host == "0.0.0.0"
    assert f"127.0.0.1:{loaded.http.port}:{loaded.http.port}" in SERVICES["gateway"]["ports"]
    assert f"gateway-state:{loaded.gateway.state_dir}" in SERVICES["gateway"]["volumes"]
    assert f":{loaded.http.port}/-/healthy" in instruction("HEALTHCHECK")


def test_the_container_writes_into_the_bucket_that_is_made_for_it() -> None:
    service = SERVICES["influxdb"]["environment"]
    token = SERVICES["gateway"]["environment"]["INFLUX_TOKEN"]
    loaded = config.load(
        ROOT / "config/docker/gateway.toml",
        {"INFLUX_TOKEN": interpolated(token), "VIBRATION_GATEWAY__GATEWAY__STATE_DIR": "/state"},
    )
    assert loaded.influxdb is not None
    assert loaded.influxdb.org == service["DOCKER_INFLUXDB_INIT_ORG"]
    assert loaded.influxdb.bucket == service["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert service["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN"] == token == SERVICES["grafana"]["environment"]["INFLUX_TOKEN"]


@pytest.mark.parametrize("source", [source for source, *_ in MOUNTS if source.startswith(".")])
def test_every_mounted_file_exists(source: str) -> None:
    assert (ROOT / source).exists()


def test_every_named_volume_is_declared() -> None:
    assert {source for source, *_ in MOUNTS if not source.startswith(".")} == COMPOSE["volumes"].keys()


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    stages = [arguments.split() for name, arguments in dockerfile() if name == "FROM"]
    ours = {stage[-1] for stage in stages}
    images += [stage[0] for stage in stages if stage[0] not in ours]
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+", image)] == []


def test_every_port_is_published_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", ["gateway", "simulator"])
def test_our_own_containers_may_do_and_write_nothing_beside_their_work(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["pids_limit"] <= 256
    assert service["mem_limit"] == "1g"
    assert service["restart"] == "unless-stopped"


def test_whoever_is_waited_for_has_a_health_check() -> None:
    image_checks = {"gateway"} if instruction("HEALTHCHECK") else set()
    checked = image_checks | {name for name, service in SERVICES.items() if "test" in service.get("healthcheck", {})}
    awaited = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert awaited
    assert awaited <= checked


def test_everything_that_the_image_copies_exists_and_is_in_the_build_context() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source.rstrip("/")
        for name, arguments in dockerfile()
        if name == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if not any(pattern.startswith(source) for pattern in allowed)] == []


def test_the_service_owns_the_folder_that_the_example_configuration_names() -> None:
    example = tomllib.loads((ROOT / "config/gateway.toml").read_text(encoding="utf-8"))
    service = unit()["Service"]
    assert example["gateway"]["state_dir"] == f"/var/lib/{service['StateDirectory']}"
    assert service["User"] != "root"


def test_the_service_says_that_it_lives_and_is_bounded() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) >= 60, "a round of the ticker is a second, and a slow disk takes its time"
    assert {"MemoryMax", "TasksMax"} <= service.keys()
    assert "AF_UNIX" in service["RestrictAddressFamilies"].split()


def test_the_service_does_not_start_before_the_disk_of_its_journal_is_mounted() -> None:
    assert unit()["Unit"]["RequiresMountsFor"] == f"/var/lib/{unit()['Service']['StateDirectory']}"


def test_the_dashboards_are_what_their_generator_makes() -> None:
    made = runpy.run_path(str(ROOT / "config/grafana/generator"))["render"]()
    shipped = {file.stem: file.read_text("utf-8") for file in (ROOT / "config/grafana/dashboards").iterdir()}
    assert made == shipped, "run python config/grafana/generator"
    assert made.keys() == {"fleet", "machine", "sensor", "alerts", "gateway"}


def test_grafana_finds_what_is_provisioned() -> None:
    folder = ROOT / "config/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/influxdb.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/fleet.yaml").read_text())["providers"]
    environment = SERVICES["grafana"]["environment"]
    targets = {target for _, target, *_ in (mount.split(":") for mount in SERVICES["grafana"]["volumes"])}
    assert source["jsonData"]["dbName"] == SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert {source["url"], source["secureJsonData"]["httpHeaderValue1"]} == {"$INFLUX_URL", "Token $INFLUX_TOKEN"}
    assert {"INFLUX_URL", "INFLUX_TOKEN"} <= environment.keys()
    assert provider["options"]["path"] in targets
    rules = yaml.safe_load((folder / "alerting/vibration.yaml").read_text())["groups"][0]["rules"]
    asked = {query["datasourceUid"] for rule in rules for query in rule["data"]}
    assert asked == {source["uid"], "__expr__"}
    assert all(rule["condition"] == rule["data"][-1]["refId"] for rule in rules)
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{provider['options']['path']}/fleet.json"
