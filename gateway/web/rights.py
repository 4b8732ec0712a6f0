"""What each request over HTTP needs. A route without a row here is refused, and a test says so first."""

from __future__ import annotations

from enum import IntEnum


class Right(IntEnum):
    """What somebody may; who may one may all before it, too."""

    NOTHING = 0
    READ = 1
    OPERATE = 2
    ADMINISTER = 3


OF_ROLE = {"viewer": Right.READ, "operator": Right.OPERATE, "admin": Right.ADMINISTER}

_API = "/api/v1"
RIGHTS: dict[tuple[str, str], Right] = {
    ("GET", "/"): Right.NOTHING,  # the page itself says nothing: it asks the API
    ("GET", "/docs"): Right.NOTHING,
    ("GET", "/-/healthy"): Right.NOTHING,  # probes and Prometheus bring nothing with them
    ("GET", "/-/ready"): Right.NOTHING,
    ("GET", "/metrics"): Right.NOTHING,
    ("GET", "/ack/{signed}"): Right.NOTHING,  # the signed link is what allows it
    ("POST", "/ack/{signed}"): Right.NOTHING,
    ("GET", "/s/{code}"): Right.NOTHING,  # so is the short one
    ("POST", "/s/{code}"): Right.NOTHING,
    ("GET", f"{_API}/session"): Right.NOTHING,
    ("POST", f"{_API}/session"): Right.NOTHING,
    ("DELETE", f"{_API}/session"): Right.NOTHING,
    ("GET", f"{_API}/quantities"): Right.READ,
    ("GET", f"{_API}/gateway"): Right.READ,
    ("GET", f"{_API}/stream"): Right.READ,
    ("GET", f"{_API}/sensors"): Right.READ,
    ("GET", f"{_API}/sensors/{{sensor_id:path}}/readings"): Right.READ,
    ("GET", f"{_API}/sensors/{{sensor_id:path}}/history"): Right.READ,
    ("GET", f"{_API}/sensors/{{sensor_id:path}}"): Right.READ,
    ("GET", f"{_API}/alerts"): Right.READ,
    ("GET", f"{_API}/alerts/{{alert_id}}"): Right.READ,
    ("GET", f"{_API}/events/{{event_id:path}}/trace"): Right.READ,
    ("GET", f"{_API}/baselines"): Right.READ,
    ("GET", f"{_API}/silences"): Right.READ,
    ("GET", f"{_API}/inputs"): Right.READ,
    ("GET", f"{_API}/deadletters/groups"): Right.READ,
    ("GET", f"{_API}/deadletters/{{seq}}/proposal"): Right.READ,
    ("GET", "/fleet"): Right.NOTHING,  # as "/"
    ("GET", f"{_API}/fleet"): Right.READ,
    ("POST", f"{_API}/fleet/{{gateway}}/alerts/{{alert_id}}/{{do}}"): Right.OPERATE,
    ("POST", f"{_API}/fleet/{{gateway}}/forget"): Right.ADMINISTER,
    ("POST", f"{_API}/alerts/{{alert_id}}/ack"): Right.OPERATE,
    ("POST", f"{_API}/alerts/{{alert_id}}/shelve"): Right.OPERATE,
    ("POST", f"{_API}/alerts/{{alert_id}}/unshelve"): Right.OPERATE,
    ("POST", f"{_API}/silences"): Right.OPERATE,
    ("POST", f"{_API}/silences/{{silence_id}}/expire"): Right.OPERATE,
    ("POST", f"{_API}/baselines/{{sensor_id:path}}/set"): Right.OPERATE,
    ("POST", f"{_API}/baselines/{{sensor_id:path}}/relearn"): Right.OPERATE,
    ("POST", f"{_API}/sensors/{{sensor_id:path}}/forget"): Right.OPERATE,
    ("POST", f"{_API}/sensors/purge"): Right.ADMINISTER,  # it removes readings for good
    ("POST", f"{_API}/deadletters/replay"): Right.ADMINISTER,
    ("POST", f"{_API}/consumers/{{consumer}}/backfill"): Right.ADMINISTER,
    ("POST", f"{_API}/inputs/test"): Right.ADMINISTER,  # it loads the decoders that it names
}
