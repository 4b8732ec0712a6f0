"""MQTT: the subscriber that acknowledges only what is on disk, and the publisher."""
