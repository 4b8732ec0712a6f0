"""MQTT to InfluxDB with paho-mqtt, json and influxdb-client's batching API.

`python -m bench.references.paho_influxdb BROKER_PORT COUNT INFLUX_URL TOKEN ORG BUCKET`, as its neighbour.
"""

import json
import sys
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPIC = "vibration/+/+/+/+/reading"
WARNING_RATIO = 1.6


def main() -> None:
    """Compare each reading with its baseline and write it to InfluxDB."""
    port, count, url, token, org, bucket = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    left, alerts = count, 0
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
    session.SessionExpiryInterval = 3600

    def subscribed(client: Client, *_: Any) -> None:
        if not count:
            client.disconnect()

    def arrived(client: Client, _: Any, message: MQTTMessage) -> None:
        nonlocal left, alerts
        event = json.loads(message.payload)
        data = event["data"]
        _, site, area, machine, sensor, _ = message.topic.split("/")
        if data["vibrationLevel"] > WARNING_RATIO * data["baselineVibrationLevel"]:
            alerts += 1
        point = (
            Point("vibration")  # type: ignore[no-untyped-call] # the library's own lack
            .tag("site", site)
            .tag("area", area)
            .tag("machine", machine)
            .tag("sensor", sensor)
            .field("level", data["vibrationLevel"])
            .field("baseline", data["baselineVibrationLevel"])
            .time(event["timestamp"])
        )
        write_api.write(bucket, org, point)
        left -= 1
        if not left:
            client.disconnect()

    with (
        InfluxDBClient(url, token, org=org) as influx,
        influx.write_api(write_options=WriteOptions(batch_size=5000, flush_interval=1000)) as write_api,
    ):
        client = Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=MQTTProtocolVersion.MQTTv5)
        client.on_connect = lambda client, *_: client.subscribe(TOPIC, 1)
        client.on_subscribe = subscribed
        client.on_message = arrived
        client.connect("localhost", port, clean_start=False, properties=session)
        client.loop_forever()


if __name__ == "__main__":
    main()
