import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.errors import GatewayError

TEMPLATE = """
[gateway]
id = "{{id}}"
state_dir = "/var/lib/vibration-gateway"
[mqtt]
host = "{{ broker }}"
username = "{{id}}"
password = "${FILE:/etc/vibration-gateway/mqtt-password}"
topics = ["vibration/{{site}}/{area}/{machine}/{sensor}/reading"]
"""


def provision(folder: Path, devices: str, template: str = TEMPLATE, *options: str) -> Result:
    (folder / "devices.csv").write_text(devices)
    (folder / "template.toml").write_text(template)
    words = ["provision", str(folder / "devices.csv"), "--template", str(folder / "template.toml")]
    return CliRunner().invoke(cli, [*words, "--out", str(folder / "out"), *options])


def test_each_device_has_its_configuration_its_secrets_and_its_place_at_the_broker(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("an authority")
    said = provision(
        tmp_path, "id,site,broker\nedge-1,Nord,b1\nedge-2,Süd,b2\n", TEMPLATE, "--ca", str(tmp_path / "ca.crt")
    )
    assert said.exit_code == 0, said.output
    out = tmp_path / "out"
    one, two = (tomllib.loads((out / name / "gateway.toml").read_text()) for name in ("edge-1", "edge-2"))
    assert (one["gateway"]["id"], one["mqtt"]["host"], two["mqtt"]["topics"][0].split("/")[1]) == (
        "edge-1",
        "b1",
        "Süd",
    )
    secrets = [(out / name / secret).read_text() for name in ("edge-1", "edge-2")
               for secret in ("mqtt-password", "http-token", "link-key")]  # fmt: skip
    assert len(set(secrets)) == 6
    assert all(len(secret) >= 43 for secret in secrets)
    assert not any(secret in (out / "gateways.passwd").read_text() for secret in secrets)
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file() and path.name != "ca.crt"
    } == {0o600}
    assert "vibration/gateway/edge-2/#" in (out / "gateways.acl").read_text()


def test_done_again_with_one_more_device_the_others_keep_their_secrets(tmp_path: Path) -> None:
    provision(tmp_path, "id,site,broker\nedge-1,Nord,b1\n")
    before = (tmp_path / "out/edge-1/mqtt-password").read_text()
    assert provision(tmp_path, "id,site,broker\nedge-1,Nord,b9\nedge-2,Nord,b1\n").exit_code == 0
    assert (tmp_path / "out/edge-1/mqtt-password").read_text() == before
    assert 'host = "b9"' in (tmp_path / "out/edge-1/gateway.toml").read_text()


@pytest.mark.parametrize(
    ("devices", "template", "said"),
    [
        ("id,site\nedge-1,Nord\n", TEMPLATE, "no column broker"),
        ("id,site,broker\n../edge,Nord,b\n", TEMPLATE, "line 2: '../edge' cannot be the id"),
        ("id,site,broker\n,Nord,b\n", TEMPLATE, "line 2: '' cannot be"),
        ("id,site,broker\ne,Nord,b\nE,Nord,b\n", TEMPLATE, "line 3: E is there twice"),
        ('id,site,broker\ne,Nord,"b"" #"\n', TEMPLATE, "line 2: broker is missing, or has a quotation mark"),
        ("id,site,broker\ne,Nord\n", TEMPLATE, "line 2: broker is missing"),
        ("id\ne\n", "[gateway]\nid = 'edge'\n", 'needs id = "{{id}}"'),
        ("id\ne\n", "[gateway\nid = '{{id}}'\n", "with the values of e it is not TOML"),
    ],
)
def test_what_would_make_a_wrong_device_is_refused_before_anything_is_written(
    tmp_path: Path, devices: str, template: str, said: str
) -> None:
    result = provision(tmp_path, devices, template)
    assert isinstance(result.exception, GatewayError)
    assert said in str(result.exception)
    assert not (tmp_path / "out").exists()
