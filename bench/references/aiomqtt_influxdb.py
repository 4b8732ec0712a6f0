"""MQTT to InfluxDB with aiomqtt, json and influxdb-client's batching API.

`python -m bench.references.aiomqtt_influxdb BROKER_PORT COUNT INFLUX_URL TOKEN ORG BUCKET` takes COUNT messages and
leaves; with 0 it makes the session only.
"""

import asyncio
import json
import sys

import aiomqtt
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPIC = "vibration/+/+/+/+/reading"
WARNING_RATIO = 1.6


async def main() -> None:
    """Compare each reading with its baseline and write it to InfluxDB."""
    port, count, url, token, org, bucket = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
    session.SessionExpiryInterval = 3600
    alerts = 0
    with (
        InfluxDBClient(url, token, org=org) as influx,
        influx.write_api(write_options=WriteOptions(batch_size=5000, flush_interval=1000)) as write_api,
    ):
        async with aiomqtt.Client(
            "localhost",
            port,
            identifier="aiomqtt",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=session,
        ) as client:
            await client.subscribe(TOPIC, qos=1)
            if not count:
                return
            async for message in client.messages:
                event = json.loads(message.payload)
                data = event["data"]
                _, site, area, machine, sensor, _ = str(message.topic).split("/")
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
                count -= 1
                if not count:
                    break


if __name__ == "__main__":
    asyncio.run(main())
