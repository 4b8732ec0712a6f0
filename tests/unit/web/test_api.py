import time
from urllib.parse import quote

import httpx
import pytest

from gateway.consumers.live_state import Live
from gateway.domain.model.quantities import BY_WIRE
from gateway.domain.model.reading import Flag
from gateway.errors import JournalError, JournalUnavailableError, TooMuchError
from tests.plant import NOON_NS, alert_entry, alert_of, stored
from tests.unit.web.conftest import CONDITION, Journal

READINGS = "/api/v1/sensors/VB-1/readings"
HOSTILE = ["<script>alert(1)</script>", "{{7*7}}", "a/b", "100%", "x?y#z", "Ωmega m/s²", "../../etc/passwd", "readings"]


async def test_sensors_are_listed_worst_first(client: httpx.AsyncClient, live: Live) -> None:
    await live.consume([stored("VB-1"), stored("VB-2")], [alert_entry(alert_of("VB-2"))])
    answer = await client.get("/api/v1/sensors")
    assert answer.status_code == 200
    assert [(sensor["id"], sensor["state"]) for sensor in answer.json()] == [("VB-2", "warning"), ("VB-1", "ok")]
    assert answer.json()[1] == live.sensor("VB-1")


async def test_sensors_can_be_limited(client: httpx.AsyncClient, live: Live) -> None:
    await live.consume([stored("VB-1"), stored("VB-2")], [])
    assert len((await client.get("/api/v1/sensors?limit=1")).json()) == 1
    assert (await client.get("/api/v1/sensors?limit=0")).status_code == 422


async def test_a_sensor_says_what_was_not_judged_and_how_its_machine_runs(
    client: httpx.AsyncClient, live: Live
) -> None:
    await live.consume([stored(), stored("VB-2")], [])
    answer = (await client.get("/api/v1/sensors/VB-1")).json()
    assert answer["notJudged"] == {"late": 3}
    said = {"state": "stopped", "since": "2026-03-01T12:00:00.000Z", "by": "its state topic"}
    assert answer["machineState"] == said
    assert answer["contradiction"] == "its readings give 9"
    assert (await client.get("/api/v1/sensors/VB-2")).json()["machineState"] is None


async def test_numbers_that_json_does_not_know_are_null(client: httpx.AsyncClient, live: Live) -> None:
    await live.consume([stored(level=1e300, baseline=1e-300)], [])
    answer = (await client.get("/api/v1/sensors/VB-1")).json()
    assert (answer["level"], answer["ratio"], answer["spark"]) == (1e300, None, [None])


@pytest.mark.parametrize("sensor", HOSTILE)
async def test_any_printable_id_is_a_sensor_and_only_text(client: httpx.AsyncClient, live: Live, sensor: str) -> None:
    await live.consume([stored(sensor)], [])
    path = f"/api/v1/sensors/{quote(sensor, safe='')}"
    answer = await client.get(path)
    assert answer.json()["id"] == sensor
    assert answer.headers["content-type"] == "application/json"
    assert (await client.get(f"{path}/readings")).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/sensors/VB-404", "/api/v1/sensors/VB-404/readings", "/api/v1/alerts/none"])
async def test_what_is_not_known_is_404_and_says_so(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert path.split("/")[4] in answer.json()["detail"]


async def test_readings_come_with_what_the_event_said(client: httpx.AsyncClient, live: Live, journal: Journal) -> None:
    journal.readings = [stored(level=5.0, flags=Flag.LATE | Flag.RETAINED, data={"kurtosis": 3.2, "unit": "g"})]
    await live.consume(journal.readings, [])
    answer = await client.get(READINGS)
    assert answer.json() == [
        {
            "eventId": "event-VB-1-0",
            "time": "2023-09-29T15:06:40.000Z",
            "receivedAt": "2023-09-29T15:06:41.000Z",
            "level": 5.0,
            "baseline": 4.0,
            "ratio": 1.25,
            "unit": "g",
            "flags": ["late", "retained"],
            "features": {"kurtosis": 3.2},
        }
    ]
    assert journal.asked == [("VB-1", 0, 2**63 - 1, 1000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-09-29T15:06:40Z", NOON_NS),
        ("2023-09-29T15:06:40", NOON_NS),
        ("2023-09-29T17:06:40.5%2B02:00", NOON_NS + 500_000_000),
    ],
)
async def test_times_are_rfc_3339_and_naive_ones_utc(
    client: httpx.AsyncClient, live: Live, journal: Journal, text: str, expected: int
) -> None:
    await live.consume([stored()], [])
    assert (await client.get(f"{READINGS}?since={text}&until=2023-10-01&limit=7")).status_code == 200
    assert journal.asked == [("VB-1", expected, 1_696_118_400_000_000_000, 7)]


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("2h", 7200), ("7d", 604800)])
async def test_times_can_be_so_long_ago(
    client: httpx.AsyncClient, live: Live, journal: Journal, text: str, seconds: int
) -> None:
    await live.consume([stored()], [])
    before = time.time_ns()
    await client.get(f"{READINGS}?since={text}")
    assert before <= journal.asked[0][1] + seconds * 1_000_000_000 <= time.time_ns()


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=15",
        "since=-15m",
        "since=",
        "since=2023-09-29T15:06:40+02:00",
        "until=9999-12-31",
        "since=1969-12-31",
        "since=2h&until=3h",
        "limit=0",
        "limit=10001",
        "limit=ten",
    ],
)
async def test_a_bad_question_is_422_and_says_why(client: httpx.AsyncClient, live: Live, query: str) -> None:
    await live.consume([stored()], [])
    answer = await client.get(f"{READINGS}?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in str(answer.json()["detail"])


async def test_longer_ago_than_1970_is_from_the_beginning(
    client: httpx.AsyncClient, live: Live, journal: Journal
) -> None:
    await live.consume([stored()], [])
    await client.get(f"{READINGS}?since=999999999d")
    assert journal.asked[0][1] == 0


async def test_alerts_are_the_open_ones_unless_all_are_wanted(client: httpx.AsyncClient, journal: Journal) -> None:
    journal.alerts = [alert_of("VB-1"), alert_of("VB-2", state="cleared")]
    assert [alert["sensorId"] for alert in (await client.get("/api/v1/alerts")).json()] == ["VB-1"]
    assert len((await client.get("/api/v1/alerts?all=true")).json()) == 2
    assert (await client.get("/api/v1/alerts?all=perhaps")).status_code == 422


async def test_the_list_of_alerts_is_bounded_and_can_be_read_on(client: httpx.AsyncClient, journal: Journal) -> None:
    journal.alerts = [alert_of(f"VB-{number}", state="cleared") for number in range(1001)]
    answer = (await client.get("/api/v1/alerts?all=true")).json()
    assert len(answer) == 1000
    following = (await client.get(f"/api/v1/alerts?all=true&limit=5&after={answer[-1]['id']}")).json()
    assert [alert["sensorId"] for alert in following] == ["VB-1000"]
    assert (await client.get("/api/v1/alerts?all=true&limit=10001")).status_code == 422


async def test_an_alert_is_shown_as_everywhere_else(client: httpx.AsyncClient, journal: Journal) -> None:
    journal.alerts = [alert_of(state="cleared")]
    shown = (await client.get("/api/v1/alerts/alert-VB-1-1")).json()
    assert shown == {**journal.alerts[0], "history": [], "messages": []}


@pytest.mark.parametrize(
    ("error", "status"), [(JournalUnavailableError("disk full"), 503), (JournalError("damaged"), 500)]
)
async def test_an_error_on_purpose_is_told(
    client: httpx.AsyncClient, live: Live, journal: Journal, error: Exception, status: int
) -> None:
    await live.consume([stored()], [])
    journal.error = error
    answer = await client.get(READINGS)
    assert (answer.status_code, answer.json()) == (status, {"detail": str(error)})


async def test_any_other_error_is_not_told(client: httpx.AsyncClient, live: Live, journal: Journal) -> None:
    await live.consume([stored()], [])
    journal.error = RuntimeError("token=s3cret")
    answer = await client.get(READINGS)
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_changed(client: httpx.AsyncClient, method: str) -> None:
    for path in ("/api/v1/sensors", "/api/v1/alerts", "/api/v1/alerts/a", "/api/v1/stream", "/metrics", "/"):
        assert (await client.request(method, path)).status_code == 405


class TestHistory:
    HISTORY = "/api/v1/sensors/VB-1/history"

    async def test_it_is_asked_for_with_a_window_and_a_number_of_points(
        self, client: httpx.AsyncClient, live: Live, journal: Journal
    ) -> None:
        await live.consume([stored("VB-1")], [])
        journal.past = {"time": [1, 2], "mean": [4.0, None]}
        answer = await client.get(self.HISTORY, params={"from": "2023-09-29", "to": "2023-09-30", "points": 100})
        assert answer.json() == {"unit": "m/s²", "sensorId": "VB-1", **journal.past}
        since_ns, until_ns, points = journal.asked[0][1:]
        assert (until_ns - since_ns, points) == (86_400 * 10**9, 100)

    async def test_it_is_of_the_last_hour_if_nothing_else_is_said(
        self, client: httpx.AsyncClient, live: Live, journal: Journal
    ) -> None:
        await live.consume([stored("VB-1")], [])
        assert (await client.get(self.HISTORY)).status_code == 200
        since_ns, until_ns, _ = journal.asked[0][1:]
        assert until_ns - since_ns == 3600 * 10**9
        assert abs(until_ns - time.time_ns()) < 60 * 10**9

    async def test_an_unknown_sensor_is_named(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/sensors/VB-9/history")
        assert answer.status_code == 404
        assert "no reading of a sensor 'VB-9' has ever come in" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("params", "said"),
        [
            ({"points": "10000000"}, "less than or equal to 5000"),
            ({"points": "0"}, "greater than or equal to 1"),
            ({"from": "2023-09-30", "to": "2023-09-29"}, "from must be before to"),
            ({"from": "yesterday"}, "how long ago"),
            ({"to": "9999-01-01"}, "from 1970 to 2262"),
        ],
    )
    async def test_what_cannot_be_answered_is_said(
        self, client: httpx.AsyncClient, live: Live, journal: Journal, params: dict[str, str], said: str
    ) -> None:
        await live.consume([stored("VB-1")], [])
        answer = await client.get(self.HISTORY, params=params)
        assert answer.status_code == 422
        assert said in answer.text
        assert journal.asked == []

    async def test_what_takes_too_long_is_said(self, client: httpx.AsyncClient, live: Live, journal: Journal) -> None:
        await live.consume([stored("VB-1")], [])
        journal.error = TooMuchError("ask for less")
        answer = await client.get(self.HISTORY)
        assert (answer.status_code, answer.json()["detail"]) == (422, "ask for less")


async def test_the_life_of_an_event(client: httpx.AsyncClient, journal: Journal) -> None:
    lines = [{"step": "stored", "at": None, "what": "entry 1", "seq": 1}]
    found = {"eventId": "a/b", "asked": "a/b", "kind": "reading", "sensorId": "VB-1", "traceparent": None}
    journal.traces["a/b"] = {**found, "steps": lines}
    answer = await client.get("/api/v1/events/a%2Fb/trace")
    assert answer.json() == {**found, "steps": lines}
    unknown = await client.get("/api/v1/events/c/trace")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "the journal knows no event 'c'")


async def test_how_the_gateway_itself_is(client: httpx.AsyncClient, journal: Journal) -> None:
    journal.reasons.append("the broker is away")
    assert (await client.get("/api/v1/gateway")).json() == {**CONDITION, "reasons": ["the broker is away"]}


async def test_the_table_of_quantities_names_what_readings_have(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/quantities")
    assert answer.json()[0] == {
        "key": "velocity_rms",
        "wire": "velocityRms",
        "kind": "velocity",
        "label": "Velocity RMS",
        "unit": "mm/s",
        "precision": 2,
    }
    assert [each["wire"] for each in answer.json()] == [*BY_WIRE]


async def test_an_id_of_two_machines_is_asked_for_with_the_machine(client: httpx.AsyncClient, live: Live) -> None:
    await live.consume([stored("DE (pump-3)", machine="pump-3"), stored("DE (fan-9)", machine="fan-9")], [])
    for path in ("", "/readings", "/history"):
        answer = await client.get(f"/api/v1/sensors/DE{path}")
        assert answer.status_code == 409
        assert "'DE (pump-3)', 'DE (fan-9)'" in answer.json()["detail"]
    assert (await client.get("/api/v1/sensors/DE%20(fan-9)")).json()["machine"] == "fan-9"


async def test_a_name_with_its_place_may_be_written_where_the_id_would_do(
    client: httpx.AsyncClient, live: Live, journal: Journal
) -> None:
    await live.consume([stored("DE", machine="pump-3")], [])
    assert (await client.get("/api/v1/sensors/DE%20(pump-3)")).json()["id"] == "DE"
    await client.get("/api/v1/sensors/DE%20(pump-3)/readings")
    assert journal.asked[-1][0] == "DE"
    assert (await client.get("/api/v1/sensors/DE%20(fan-9)")).status_code == 404
