import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.config import MqttSection
from gateway.errors import GatewayError
from gateway.mqtt.listening import listen
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port

FEATURES = json.dumps({"acc_rms_g": 0.25, "velocity_rms": 2.5, "temperature": 41})


def test_a_configuration_is_learned_from_what_a_broker_passes_on(mosquitto: Mosquitto, tmp_path: Path) -> None:
    for device in ("dev-7", "dev-8"):
        mosquitto.publish(f"vib/{device}/features", FEATURES, retain=True)
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[gateway]\nid = "edge"\nstate_dir = "{tmp_path}"\n'
        f'[mqtt]\nhost = "{mosquitto.host}"\nport = {mosquitto.port}\ntopics = ["x/{{sensor}}"]\n'
    )
    command = [sys.executable, "-m", "gateway", "inputs", "learn", "--topic", "vib/#", "--for", "1s", "-c", str(config)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert [table["topic"] for table in tomllib.loads(found.stdout)["inputs"]] == ["vib/{sensor}/features"]
    assert "of dev-7, dev-8." in found.stdout


def test_the_inputs_are_tried_on_what_a_broker_passes_on(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.publish("vib/dev-7/features", FEATURES, retain=True)
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[gateway]\nid = "edge"\nstate_dir = "{tmp_path}"\n'
        f'[mqtt]\nhost = "{mosquitto.host}"\nport = {mosquitto.port}\n'
        '[[inputs]]\ntopic = "vib/{sensor}/features"\nfields = { level = ["acc_rms_g", "g"] }\n'
    )
    command = [sys.executable, "-m", "gateway", "inputs", "test", "--live", "1s", "-o", "json", "-c", str(config)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert [(each["sensor"], each["level"]) for each in found["readings"]] == [("dev-7", pytest.approx(2.4516625))]
    assert found["messages"][0]["unused"] == ["velocity_rms", "temperature"]
    nothing = subprocess.run([*command, "--topic", "other/#"], capture_output=True, text=True, timeout=60, check=False)
    assert nothing.returncode == 3


async def test_a_broker_that_is_not_there_is_said() -> None:
    section = MqttSection(host=HOST, port=free_port(), topics=("a/{sensor}",))
    with pytest.raises(GatewayError, match="could not listen"):
        await listen(section, ["a/#"], 1)


async def test_a_filter_that_is_none_is_said(mosquitto: Mosquitto) -> None:
    section = MqttSection(host=mosquitto.host, port=mosquitto.port, topics=("a/{sensor}",))
    with pytest.raises(GatewayError, match="could not listen"):
        await listen(section, ["a/#/b"], 1)
