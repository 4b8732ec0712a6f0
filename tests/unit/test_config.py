"""TOML -> models: every key, every mistake named, no secret shown."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import ConfigError
from tests.servers.certificates import issue

DOCUMENTED = """
[gateway]
id = "edge-1"
state_dir = "/var/lib/vibration-gateway"
[mqtt]                                   # also: client_id, username, password, tls = { ca, cert, key }, protocol
host = "localhost"
port = 1883
topics = ["vibration/{site}/{area}/{machine}/{sensor}/reading"]
[influxdb]
url = "http://localhost:8086"
org = "plant"
bucket = "vibration"
token = "${INFLUX_TOKEN}"
[http]                                   # also: token, for everything that changes something
host = "127.0.0.1"
port = 8080
[detection]
learning = "7d"
warning_sigma = 5.0
warning_ratio = 1.6
critical_ratio = 2.5
on_readings = 3
off_readings = 3
hysteresis = 0.1
lateness = "0s"
stopped_states = ["stopped", "off"]
[[sensors]]
id = "VB-42345"
baseline = 4.0
[handlers.maintenance-mail]
type = "email"
host = "smtp.example.com"
port = 587
security = "starttls"
username = "gateway"
password = "${FILE:/etc/vibration-gateway/smtp-password}"
from = "gateway@example.com"
to = ["maintenance@example.com"]
[handlers.oncall-sms]
type = "sms"
base_url = "https://api.twilio.com"
account_sid = "AC…"
auth_token = "${TWILIO_AUTH_TOKEN}"
from = "+15005550006"
to = ["+46700000000"]
[[routes]]
severity = "warning"
handlers = ["maintenance-mail"]
[[routes]]
severity = "critical"
handlers = ["oncall-sms"]
"""
LEAST = """
[gateway]
id = "edge-1"
state_dir = "/tmp/state"
[mqtt]
topics = ["vibration/{sensor}/reading"]
"""
ENVIRONMENT = {"INFLUX_TOKEN": "influx-secret", "TWILIO_AUTH_TOKEN": "twilio-secret"}
SECOND, DAY = 10**9, 86400 * 10**9

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration; /etc/vibration-gateway is a folder of the test."""
    (tmp_path / "smtp-password").write_text("smtp-secret\n")

    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text.replace("/etc/vibration-gateway", str(tmp_path)), encoding="utf-8")
        return path

    return write


def problems(path: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environment or {})
    assert all(line.startswith(f"{path}: ") for line in caught.value.problems)
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


class TestWhatIsRead:
    def test_the_documented_example_is_read_whole(self, write: Write) -> None:
        config = load(write(DOCUMENTED), ENVIRONMENT)
        assert (config.gateway.id, config.gateway.state_dir) == ("edge-1", Path("/var/lib/vibration-gateway"))
        assert (config.mqtt.host, config.mqtt.port, config.mqtt.protocol) == ("localhost", 1883, "5")
        assert config.influxdb is not None
        assert config.influxdb.token.get_secret_value() == "influx-secret"
        assert config.http is not None
        assert config.http.port == 8080
        assert (config.detection.learning, config.detection.learning_readings) == (7 * DAY, 100)
        assert config.sensors[0].baseline == 4.0
        mail = config.handlers["maintenance-mail"]
        assert (mail.type, mail.timeout) == ("email", 30 * SECOND)
        assert mail.settings["password"] == "smtp-secret"
        assert mail.settings["to"] == ["maintenance@example.com"]
        assert [(route.severity, route.handlers) for route in config.routes] == [
            ("warning", ("maintenance-mail",)),
            ("critical", ("oncall-sms",)),
        ]

    def test_the_least_one_has_the_documented_defaults(self, write: Write) -> None:
        config = load(write(LEAST), {})
        documented = load(write(DOCUMENTED), ENVIRONMENT)
        assert config.detection == documented.detection
        assert (config.influxdb, config.http, config.handlers, config.routes) == (None, None, {}, ())

    def test_a_time_zone_is_read(self, write: Write) -> None:
        text = LEAST.replace("[mqtt]", 'timezone = "Europe/Stockholm"\n[mqtt]', 1)
        zone = load(write(text), {}).gateway.timezone
        assert str(zone) == "Europe/Stockholm"

    @pytest.mark.parametrize("name", ["'Mars/Base'", "''", "'../../etc/passwd'", "'Europe'", "1", "'a\\u0000b'"])
    def test_an_unknown_time_zone_is_named(self, write: Write, name: str) -> None:
        text = LEAST.replace("[mqtt]", f"timezone = {name}\n[mqtt]", 1)
        (problem,) = problems(write(text))
        assert problem.startswith("gateway.timezone: a time zone is a name such as 'Europe/Stockholm'")

    def test_every_other_key_of_the_interface_is_read(self, write: Write, tmp_path: Path) -> None:
        files = issue(tmp_path / "tls")
        more = f"""client_id = "gw"
username = "u"
password = "p"
protocol = "3.1.1"
tls = {{ ca = "{files.ca}", cert = "{files.client_cert}", key = "{files.client_key}" }}
[http]
token = "long-enough"
public_url = "https://plant.example.com"
[[machines]]
id = "pump-3"
site = "plant-1"
on_delay = "10s"
"""
        config = load(write(LEAST + more), {})
        assert (config.mqtt.client_id, config.mqtt.protocol) == ("gw", "3.1.1")
        assert config.mqtt.tls is not None
        assert config.mqtt.tls.ca == files.ca
        assert config.http is not None
        assert str(config.http.public_url) == "https://plant.example.com/"
        assert config.machines[0].on_delay == 10 * SECOND

    def test_it_cannot_be_changed(self, write: Write) -> None:
        config = load(write(LEAST), {})
        with pytest.raises(ValueError, match="frozen"):
            setattr(config.mqtt, "host", "elsewhere")  # noqa: B010 - mypy would refuse the plain assignment


class TestMistakes:
    @pytest.mark.parametrize(
        ("mistake", "expected"),
        [
            ("[mqqt]\nhost = 'x'", "mqqt: unknown key; did you mean mqtt?"),
            ("[http]\nprot = 80", "http.prot: unknown key; did you mean port?"),
            ("[http]\nport = 'eighty'", "http.port: must be a whole number"),
            ("[http]\nport = 99999", "http.port: must be at most 65535"),
            ("[detection]\nstopped_states = 'off'", "detection.stopped_states: must be a list"),
            ("[http]\nhost = 5", "http.host: must be text, in quotes"),
            ("[detection.thresholds.kurtosis]\nwarning = 0", "detection.thresholds.kurtosis.warning: must be above 0"),
            (
                "[detection.thresholds.kurtosis]\nwarning_below = 1",
                "detection.thresholds.kurtosis.warning_below: unknown key",
            ),
            (
                "[detection.thresholds.temprature]\nwarning = 1",
                "detection.thresholds.temprature: unknown key; did you mean temperature?",
            ),
            (
                "[detection.thresholds.temperature]\nwarning = 5\ncritical_below = 5",
                "detection.thresholds.temperature: no value is normal between the lower limit 5.0",
            ),
            ("[detection]\nlearning = '7 days'", "detection.learning: a duration is a number and a unit"),
            ("[detection]\nlearning = 7", "detection.learning: a duration is a number and a unit"),
            ("[detection]\non_readings = 0", "detection.on_readings: "),
            ("[detection]\nhysteresis = 1", "detection.hysteresis: "),
            ("[detection]\nwarning_ratio = 1", "detection.warning_ratio: "),
            ("[detection]\ncritical_ratio = nan", "detection.critical_ratio: "),
            ("[retention]\nmax_size = '8 gigs'", "retention.max_size: a size is a number and a unit"),
            (f"[retention]\nmax_size = '{'9' * 400}GB'", "retention.max_size: a size is a number and a unit"),
            ("[[sensors]]\nid = 'a'\n[[sensors]]\nid = 'a'", "sensors: more than one table for id 'a'"),
            ("[[machines]]\nid = 'a'\n[[machines]]\nid = 'a'", "machines: more than one table for id 'a'"),
            ("[[sensors]]\nid = 'a'\nbaseline = 0", "sensors #1.baseline: "),
            ("[[routes]]\nseverity = 'bad'\nhandlers = ['m']", "routes #1.severity: "),
            ("[[routes]]\nseverity = 'warning'\nhandlers = []", "routes #1.handlers: "),
            ("[[routes]]\nseverity = 'warning'\nhandlers = ['m']", "routes #1.handlers: there is no [handlers.m]"),
            ("[handlers.'my mail']\ntype = 'log'", "handlers.my mail"),
            ("[handlers.mail]\nhost = 'x'", "handlers.mail.type: "),
            ("[handlers.mail]\ntype = 'email'\ntimeout = 5", "handlers.mail.timeout: a duration"),
            ("[influxdb]\nurl = 'localhost'\norg = 'o'\nbucket = 'b'\ntoken = 't'", "influxdb.url: "),
            ("[influxdb]\nurl = 'http://localhost'", "influxdb.token: "),
            ("[influxdb]\norg = ''", "influxdb.org: must not be empty"),
            ("[influxdb]\nca = '/no/such/file'", "influxdb.ca: "),
            ("[influxdb]\nproxy = 'http://proxy:3128/path'", "influxdb.proxy: must be an address such as"),
            ("[influxdb]\nbucket = ''", "influxdb.bucket: must not be empty"),
            ("[influxdb]\ntoken = ''", "influxdb.token: a token is printable ASCII"),
            ("[influxdb]\nurl = 'http://u:hunter2@localhost'", "influxdb.url: must be an address without a user"),
            ("[http]\nhost = 'plant..lan'", "http.host: no part of a host name"),
            ("[http]\nhost = ''", "http.host: must not be empty"),
            ("[handlers.mail]\ntype = 'email'\ntimeout = '0s'", "handlers.mail.timeout: must be above 0"),
        ],
    )
    def test_each_is_named_with_its_key(self, write: Write, mistake: str, expected: str) -> None:
        assert [line for line in problems(write(LEAST + mistake)) if line.startswith(expected)]

    @pytest.mark.parametrize("name", ["time", "level", "kind", "severity", "velocity_rms", "alert_id"])
    @pytest.mark.parametrize("table", ["[influxdb]", "[consumers.second]\ntype = 'influxdb'"])
    def test_no_placeholder_has_the_name_of_a_column_in_influxdb(self, write: Write, name: str, table: str) -> None:
        mqtt = f"[mqtt]\ntopics = ['{{{name}}}/{{sensor}}']\n"
        least = re.sub(r"(?s)\[mqtt\].*", mqtt, LEAST)
        keys = "url = 'http://localhost:8086'\norg = 'o'\nbucket = 'b'\ntoken = 't'\n"
        (problem,) = problems(write(f"{least}{table}\n{keys}"))
        assert problem.startswith(f"mqtt.topics: {{{name}}} would be a tag in InfluxDB")
        load(write(least))

    @pytest.mark.parametrize(
        ("mistake", "expected"),
        [
            ("port = 0.5", "mqtt.port"),
            ("topics = []", "mqtt.topics"),
            ("topics = ['a/#']", "mqtt.topics"),
            ("topics = ['a/{x}/{x}']", "mqtt.topics"),
            ("topics = ['$share/g/a/{sensor}']", "mqtt.topics: '$share/g/a/{sensor}' is a shared subscription"),
            ("topics = ['$SYS/{sensor}']", "mqtt.topics: '$SYS/{sensor}': topics that start with $"),
            ("topics = ['a']\npassword = 'p'", "mqtt: a password needs a username"),
            ("topics = ['a']\nprotocol = '4'", "mqtt.protocol"),
            ("topics = ['a']\ntls = { cert = '/c' }", "mqtt.tls: cert and key go together"),
            ("topics = ['a']\ntls = { ca = '/nowhere' }", "mqtt.tls: there is no file /nowhere"),
            (f"topics = ['a']\ntls = {{ ca = '{__file__}' }}", f"mqtt.tls: {__file__} is not a readable file of cert"),
            (
                f"topics = ['a']\ntls = {{ cert = '{__file__}', key = '{__file__}' }}",
                f"mqtt.tls: {__file__} and {__file__} are not a readable certificate and its key",
            ),
            ("topics = ['a']\nhost = 'broker..lan'", "mqtt.host: no part of a host name"),
            (f"topics = ['a']\nhost = '{'b' * 64}.lan'", "mqtt.host: no part of a host name"),
            ("topics = ['a']\nhost = 'a b'", "mqtt.host: a host name has no spaces"),
            ('topics = ["a"]\nhost = "a\\u0000b"', "mqtt.host: a host name has no spaces"),
            ("topics = ['a']\nkeepalive = 30", "mqtt.keepalive: a duration"),
            ("topics = ['a']\nclient_id = 'a b'", "mqtt.client_id"),
        ],
    )  # fmt: skip
    def test_those_about_the_broker_too(self, write: Write, mistake: str, expected: str) -> None:
        text = f"[gateway]\nid = 'edge-1'\nstate_dir = '/tmp'\n[mqtt]\n{mistake}"
        assert [line for line in problems(write(text)) if line.startswith(expected)]

    def test_all_are_named_at_once(self, write: Write) -> None:
        found = problems(
            write(LEAST + "prot = 1\n[http]\nport = -1\n[detection]\non_readings = 'x'\nlearning = '7x'\n")
        )
        assert [line.split(":")[0] for line in found] == [
            "mqtt.prot",
            "http.port",
            "detection.learning",
            "detection.on_readings",
        ]

    @pytest.mark.parametrize("name", ["../edge", "a b", "", "-a", "x" * 65, "edge/1", "edge+"])
    def test_a_name_that_would_not_do_in_a_topic_is_refused(self, write: Write, name: str) -> None:
        assert [line for line in problems(write(LEAST.replace("edge-1", name))) if line.startswith("gateway.id: ")]

    def test_a_file_that_is_not_there_or_is_not_toml_is_named(self, write: Write, tmp_path: Path) -> None:
        assert problems(tmp_path / "missing.toml") == ["cannot be read: No such file or directory"]
        assert problems(tmp_path)[0].startswith("cannot be read: ")
        assert re.fullmatch(r"is not TOML: .*line 2.*", problems(write("[gateway]\nid\n"))[0])
        path = write("")
        path.write_bytes(b"id = '\xff'")
        assert problems(path)[0].startswith("is not TOML: ")

    def test_an_empty_file_lacks_what_is_required(self, write: Write) -> None:
        assert problems(write("")) == ["gateway: is required", "mqtt: is required"]


class TestExpansion:
    def test_what_is_not_set_or_cannot_be_read_is_named_all_at_once(self, write: Write) -> None:
        found = problems(write(DOCUMENTED.replace("smtp-password", "missing")), {"TWILIO_AUTH_TOKEN": "x"})
        assert len(found) == 2
        assert found[0] == "influxdb.token: ${INFLUX_TOKEN}: not set"
        assert re.fullmatch(r"handlers.maintenance-mail.password: \$\{FILE:.*\}: No such file or directory", found[1])

    def test_a_default_counts_where_nothing_is_set_and_an_empty_text_is_set(self, write: Write) -> None:
        text = LEAST + 'host = "${HOST:-broker}"\nusername = "${NAME:-}"\nclient_id = "${ID:-a-b}"'
        config = load(write(text), {"ID": "gw"})
        assert (config.mqtt.host, config.mqtt.username, config.mqtt.client_id) == ("broker", "", "gw")
        assert load(write(text), {"HOST": "other"}).mqtt.host == "other"

    def test_numbers_can_come_from_outside_too(self, write: Write) -> None:
        assert load(write(LEAST + 'port = "${PORT}"'), {"PORT": "2883"}).mqtt.port == 2883

    def test_several_in_one_text_and_in_lists(self, write: Write) -> None:
        text = LEAST + '[handlers.h]\ntype = "log"\nurl = "${A}://${B:-b}/$C"\nto = ["${A}", "x"]'
        config = load(write(text), {"A": "one"})
        assert config.handlers["h"].settings == {"url": "one://b/$C", "to": ["one", "x"]}
        assert config.secrets >= {"one", "b"}

    def test_what_comes_from_outside_is_not_expanded_again(self, write: Write) -> None:
        assert load(write(LEAST + 'host = "${A}"'), {"A": "${B}", "B": "no"}).mqtt.host == "${B}"

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
    def test_the_end_of_the_line_is_no_part_of_a_secret_in_a_file(
        self, write: Write, tmp_path: Path, mark: bytes
    ) -> None:
        (tmp_path / "s").write_bytes(mark + "  pässword \r\n".encode())
        config = load(write(LEAST + f'username = "u"\npassword = "${{FILE:{tmp_path}/s}}"'), {})
        assert config.mqtt.password is not None
        assert config.mqtt.password.get_secret_value() == "  pässword "

    def test_a_secret_file_that_is_no_text_is_named(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "s").write_bytes(b"\xff")
        assert problems(write(LEAST + f'host = "${{FILE:{tmp_path}/s}}"'))[0].endswith("not text")

    def test_a_secret_file_that_never_begins_or_never_ends_is_not_read(self, write: Write, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "s")
        for path in (tmp_path / "s", "/dev/zero"):
            (problem,) = problems(write(LEAST + f'host = "${{FILE:{path}}}"'))
            assert problem == f"mqtt.host: ${{FILE:{path}}}: is not a regular file"

    def test_a_secret_file_beyond_a_megabyte_is_refused(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "s").write_bytes(b"x" * 1_000_001)
        (problem,) = problems(write(LEAST + f'host = "${{FILE:{tmp_path}/s}}"'))
        assert problem == f"mqtt.host: ${{FILE:{tmp_path}/s}}: is larger than 1 MB"

    def test_a_path_that_cannot_be_one_is_named(self, write: Write) -> None:
        (problem,) = problems(write(LEAST + r'host = "${FILE:/tmp/\u0000x}"'))
        assert problem.startswith("mqtt.host: ${FILE:")
        assert problem.endswith("embedded null byte")

    @pytest.mark.parametrize("text", ["[x" + ".y" * 3000 + "]\na = 1\n", "[x]\na = " + "[" * 30 + "]" * 30])
    def test_what_is_nested_too_deeply_is_named(self, write: Write, text: str) -> None:
        (problem,) = problems(write(LEAST + text))
        assert re.fullmatch(r"x\.[ay.0]{30,60}: is nested too deeply", problem)


class TestTheEnvironment:
    @pytest.mark.parametrize("names", [["A__B__C__D", "A__B"], ["A__B", "A__B__C__D"]])
    def test_a_value_with_keys_below_it_is_named_in_any_order(self, write: Write, names: list[str]) -> None:
        environment = {f"VIBRATION_GATEWAY__{name}": "x" for name in names}
        with pytest.raises(ConfigError, match="VIBRATION_GATEWAY__A__B__C__D: b is not a table"):
            load(write(LEAST), environment)

    def test_a_value_that_replaces_a_table_is_named_whatever_else_is_wrong(self, write: Write) -> None:
        environment = {
            "VIBRATION_GATEWAY__a__b__c__d": "x",
            "VIBRATION_GATEWAY__a__b-": "z",
            "VIBRATION_GATEWAY__a__B": "y",
        }
        with pytest.raises(ConfigError):
            load(write(LEAST), environment)

    def test_brackets_without_end_are_text(self, write: Write) -> None:
        assert load(
            write(LEAST), {"VIBRATION_GATEWAY__MQTT__PASSWORD": "[" * 5000, "VIBRATION_GATEWAY__MQTT__USERNAME": "u"}
        )

    def test_a_variable_replaces_or_adds_a_key(self, write: Write) -> None:
        environment = {
            "VIBRATION_GATEWAY__MQTT__HOST": "other",
            "VIBRATION_GATEWAY__MQTT__PORT": "2883",
            "VIBRATION_GATEWAY__MQTT__TOPICS": '["a/{sensor}", "b/{sensor}"]',
            "VIBRATION_GATEWAY__DETECTION__LEARNING": "1d",
            "VIBRATION_GATEWAY__DETECTION__HYSTERESIS": "0.2",
            "VIBRATION_GATEWAY_CONFIG": "elsewhere",
            "PATH": "/bin",
        }
        config = load(write(LEAST), environment)
        assert (config.mqtt.host, config.mqtt.port, config.mqtt.topics) == ("other", 2883, ("a/{sensor}", "b/{sensor}"))
        assert (config.detection.learning, config.detection.hysteresis) == (DAY, 0.2)

    def test_names_of_handlers_may_have_dashes(self, write: Write) -> None:
        environment = {**ENVIRONMENT, "VIBRATION_GATEWAY__HANDLERS__MAINTENANCE_MAIL__HOST": "mail"}
        assert load(write(DOCUMENTED), environment).handlers["maintenance-mail"].settings["host"] == "mail"

    @pytest.mark.parametrize("password", ["12345678", "007", "1e5", "true", "1_000", "a b", "'x'", "{a=1}", ""])
    def test_a_password_stays_as_it_is(self, write: Write, password: str) -> None:
        name = {"VIBRATION_GATEWAY__MQTT__USERNAME": "u", "VIBRATION_GATEWAY__MQTT__PASSWORD": password}
        config = load(write(LEAST), name)
        assert config.mqtt.password is not None
        assert config.mqtt.password.get_secret_value() == password

    def test_the_documented_protocol_can_be_given(self, write: Write) -> None:
        assert load(write(LEAST), {"VIBRATION_GATEWAY__MQTT__PROTOCOL": "5"}).mqtt.protocol == "5"

    @pytest.mark.parametrize(
        ("variable", "value", "expected"),
        [
            ("MQTT__HOSTT", "x", "unknown key; did you mean host? (replaces mqtt.hostt)"),
            ("MQTT__PORT", "high", "must be a whole number (replaces mqtt.port)"),
            ("MQTT__KEEPALIVE", "1ms", "must be at least 1s (replaces mqtt.keepalive)"),
        ],
    )
    def test_a_mistake_there_is_not_blamed_on_the_file(
        self, write: Write, variable: str, value: str, expected: str
    ) -> None:
        name = f"VIBRATION_GATEWAY__{variable}"
        with pytest.raises(ConfigError) as caught:
            load(write(LEAST), {name: value})
        assert caught.value.problems == [f"{name}: {expected}"]

    def test_only_keys_of_tables_can_be_replaced(self, write: Write) -> None:
        with pytest.raises(ConfigError, match="VIBRATION_GATEWAY__MQTT__HOST__X: host is not a table"):
            load(write(LEAST + 'host = "h"'), {"VIBRATION_GATEWAY__MQTT__HOST__X": "1"})
