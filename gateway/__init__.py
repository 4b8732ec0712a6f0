"""The gateway between vibration sensors on MQTT, their history and the people who look after the machines."""

from importlib.metadata import version

__version__ = version("vibration-gateway")
