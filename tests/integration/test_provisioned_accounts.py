"""What `provision` writes for the broker is what Mosquitto takes: a device's password opens its door and no other."""

import subprocess
from pathlib import Path

from click.testing import CliRunner

from gateway.cli import cli
from tests.servers.mosquitto import Mosquitto


def test_mosquitto_lets_each_device_in_with_its_own_password(tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("id\nedge-1\nedge-2\n")
    (tmp_path / "template.toml").write_text('[gateway]\nid = "{{id}}"\n')
    words = ["provision", str(tmp_path / "devices.csv"), "--template", str(tmp_path / "template.toml")]
    assert CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "out")]).exit_code == 0
    out = tmp_path / "out"
    for path in (tmp_path, out):
        path.chmod(0o755)
    for name in ("gateways.passwd", "gateways.acl"):
        (out / name).chmod(0o644)
    settings = ["allow_anonymous false", f"password_file {out / 'gateways.passwd'}", f"acl_file {out / 'gateways.acl'}"]
    broker = Mosquitto(tmp_path / "broker", config_lines=settings)
    broker.start()

    def publish(user: str, password_of: str) -> int:
        secret = (out / password_of / "mqtt-password").read_text()
        command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-u", user, "-P", secret, "-V", "5",
                   "-t", f"vibration/gateway/{user}/alerts/x", "-m", "x", "-q", "1"]  # fmt: skip
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode

    try:
        assert publish("edge-1", "edge-1") == 0
        assert publish("edge-2", "edge-2") == 0
        assert publish("edge-1", "edge-2") != 0
    finally:
        broker.stop()
