"""The other parts of the page: a sensor, a machine, alerts, the gateway, a trace; and what holds for all of them."""

import re
import time
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from gateway.domain.model.timefmt import rfc3339
from tests.browser.gateway import DESK, PHONE, Gateway, opened
from tests.plant import SECOND, alert_entry, alert_of, stored
from tests.unit.web.conftest import CONDITION, HEARD, TOKEN, silence

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PARTS = [
    "",
    "#/alerts",
    "#/sensor/VB-001",
    "#/machine/plant-1/hall-2/machine-00",
    "#/alert/alert-VB-003-1",
    "#/gateway",
    "#/trace/VB-1@2",
]


def past(sensor: str = "VB-001") -> dict[str, Any]:
    """Return a history of the last hour: a value a minute, a baseline that was learned, and an alert."""
    now = time.time_ns() // SECOND
    times = [now - 3600 + 60 * number for number in range(60)]
    alert = {**alert_of(sensor, "critical"), "openedAt": rfc3339((now - 600) * SECOND)}
    return {
        "from": rfc3339(times[0] * SECOND), "to": rfc3339(now * SECOND), "step": 60, "resolution": "1m", "time": times,
        "low": [3.5] * 60, "mean": [4.0] * 60, "high": [4.5] * 59 + [9.0], "count": [6] * 60,
        "baselines": [{"at": rfc3339((now - 1800) * SECOND), "level": 4.0, "readings": 2016, "version": 2}],
        "states": [{"state": "running", "from": rfc3339((now - 3000) * SECOND), "to": rfc3339(now * SECOND)}],
        "alerts": [alert],
        "limits": {
            "baseline": 4.0, "source": "learned", "version": 2, "warning": 6.4, "critical": 10.0, "clear": 5.76
        },
    }  # fmt: skip


def life() -> dict[str, Any]:
    steps = [
        {"step": "stored", "at": None, "what": f"entry 3 {HOSTILE}"},
        {"step": "AlertRaised", "at": "2026-03-01T12:00:02Z", "what": "Level 8.0"},
    ]
    return {
        "eventId": "VB-1@2",
        "asked": "n1",
        "kind": "reading",
        "sensorId": "VB-1",
        "traceparent": None,
        "steps": steps,
    }


def told() -> dict[str, Any]:
    """Return the past of an alert: a mail that went, and an SMS that did not, for it was silenced."""
    at, sent = "2026-03-01T12:00:02Z", {"state": "sent", "attempts": 1, "said": "250 ok"}
    changes = {"AlertRaised": HOSTILE, "AlertEscalated": "Level 12", "AlertAcknowledged": "Acknowledged by Ada"}
    history: list[dict[str, Any]] = [
        {"at": at, "change": type_, "who": None, "why": why, "cause": "x", "told": [], "untold": []}
        for type_, why in changes.items()
    ]
    history[0]["told"] = [{"handler": "mail", **sent}]
    common = {"at": at, "route": "day", "alerts": 1, "until": None, "id": None}
    went = {**common, **sent, "named": True, "handler": "mail", "kind": "raised", "by": None, "why": None}
    muted = {
        "named": None,
        "state": "suppressed",
        "attempts": 0,
        "said": None,
        "by": "silence",
        "why": "bearing change",
    }
    return {"history": history, "messages": [went, {**common, **muted, "handler": "sms", "kind": "escalated"}]}


@pytest.fixture
async def busy(gateway: Gateway) -> Gateway:
    """Return a gateway with something to show everywhere."""
    await gateway.fleet(8)
    await gateway.live.consume([], [alert_entry(alert_of("VB-001", "critical")), alert_entry(alert_of("VB-005"))])
    gateway.journal.past = past()
    gateway.journal.traces["VB-1@2"] = gateway.journal.traces["n1"] = life()
    gateway.journal.alerts = [{**alert_of("VB-003", state="cleared", reason=HOSTILE), **told()}]
    features = {"kurtosis": 3.1, "velocityRms": 2.2}
    gateway.journal.readings = [stored("VB-001", 4.0, second=second, data=features) for second in range(20)]
    return gateway


async def drawn(page: Page) -> None:
    """Wait until whatever the part asks for is there."""
    await expect(page.locator("#view").get_by_text("Loading…")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_there_is_nothing_that_keeps_people_out(
    browser: Browser, busy: Gateway, complaints: list[str], *, dark: bool
) -> None:
    for part in PARTS:
        async with opened(browser, busy, complaints, part, dark=dark) as page:
            await drawn(page)
            if "sensor" in part:
                await expect(page.locator(".chart canvas")).to_have_count(3)
            found = (await Axe().run(page)).response["violations"]
            bad = [each for each in found if each["impact"] in {"serious", "critical"}]
            complaints += [f"{part}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in bad]


@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_no_part_needs_sideways_scrolling(
    browser: Browser, busy: Gateway, complaints: list[str], width: int
) -> None:
    long = {**alert_of("N" * 128, reason="r" * 400), "tags": {"machine": "m" * 99}}
    await busy.live.consume([stored("N" * 128, machine="machine-00")], [alert_entry(long)])
    busy.journal.alerts.append({**long, "state": "cleared"})
    inner = "[...document.querySelectorAll('.wide:has(.closed)')].every(e => e.scrollWidth <= e.clientWidth)"
    for part in PARTS:
        async with opened(browser, busy, complaints, part, width=width) as page:
            await drawn(page)
            assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), part
            assert await page.evaluate(inner), part


async def test_a_sensor_has_its_history_limits_features_and_alerts(
    browser: Browser, busy: Gateway, complaints: list[str]
) -> None:
    async with opened(browser, busy, complaints) as page:
        await page.get_by_role("row", name="VB-001").get_by_role("link").click()
        await expect(page).to_have_title(re.compile("VB-001"))
        await expect(page.locator(".now")).to_contain_text("Critical 4.00 m/s² 1.00 × its baseline 4.00")
        await expect(page.locator(".caption")).to_contain_text("360 readings between 3.50 and 9.00 m/s²")
        await expect(page.get_by_role("img", name=re.compile("^Level of VB-001. 360 readings"))).to_be_visible()
        facts = [
            "Baseline (learned, version 2)4.00 m/s²",
            "Warning from6.40 m/s²",
            "Critical from10.0 m/s²",
            "Over below5.76 m/s²",
        ]
        await expect(page.locator(".fact")).to_contain_text([*facts, "Last learned"])
        await expect(page.locator(".feature h3")).to_have_text(["Velocity RMS 2.20 mm/s", "Kurtosis 3.10 "])
        await expect(page.locator(".alert .word")).to_have_text(["Critical"])
        await expect(page.locator(".closed tbody tr")).to_have_count(1)
        await expect(page.locator(".chart canvas")).to_have_count(3)
        await expect(page.locator(".coverage")).to_have_text("From every reading in this span of time.")
        await page.get_by_role("button", name="1 year").click()
        await expect(page.get_by_role("button", name="1 year")).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(".coverage")).to_have_text(re.compile("^From the last hour: for longer spans"))
        spans = [
            (until_ns - since_ns) // SECOND for _, since_ns, until_ns, points in busy.journal.asked if points == 600
        ]
        assert spans == [3600, 365 * 86_400]
        await page.go_back()
        await expect(page.locator("#sensors")).to_be_visible()


async def test_an_unknown_sensor_says_so(browser: Browser, gateway: Gateway) -> None:
    async with opened(browser, gateway, [], "#/sensor/nobody") as page:
        await expect(page.locator(".caption")).to_contain_text("No reading of a sensor 'nobody' has ever come in.")
        await expect(page.locator(".chart")).to_be_hidden()


async def test_of_very_many_readings_the_newest_show_the_features(browser: Browser, busy: Gateway) -> None:
    busy.journal.readings = [stored("VB-001", second=second, data={"kurtosis": 3.0}) for second in range(400)]
    async with opened(browser, busy, [], "#/sensor/VB-001") as page:
        await expect(page.locator(".coverage")).to_have_text(re.compile("^From the newest 400 readings, since "))


async def test_a_sensors_own_baseline_is_called_that_and_an_unknown_machine_so(browser: Browser, busy: Gateway) -> None:
    busy.journal.past["limits"] = {**past()["limits"], "source": "event", "version": 0}
    async with opened(browser, busy, [], "#/sensor/VB-001") as page:
        await expect(page.locator(".fact.baseline dt")).to_have_text("Baseline (the sensor's own)")
        await page.goto(f"{busy.url}#/machine/a/b/c")
        await expect(page.locator("#view")).to_contain_text("No sensor of this machine has published yet")


async def test_a_machine_shows_its_sensors_only(browser: Browser, busy: Gateway, complaints: list[str]) -> None:
    async with opened(browser, busy, complaints, "#/machine/plant-1/hall-2/machine-00") as page:
        await expect(page.locator(".sensor .name")).to_have_text(["VB-001", "VB-000", "VB-002", "VB-003"])
        await expect(page.locator(".name").first).to_have_text("machine-00")


async def test_an_alert_is_acknowledged_with_a_token_that_is_asked_for_once(
    browser: Browser, busy: Gateway, complaints: list[str]
) -> None:
    async with opened(browser, busy, complaints, "#/alerts") as page:
        buttons = page.get_by_role("button", name=re.compile("^Acknowledge the critical alert of VB-001"))
        await buttons.press("Enter")
        dialog = page.get_by_role("dialog", name="Acknowledge this alert")
        await dialog.get_by_label("Your name").fill("Ada")
        await dialog.get_by_label("Token").fill(TOKEN)
        await dialog.get_by_role("button", name="Acknowledge").click()
        await expect(dialog).to_have_count(0)
        assert busy.changes.asked == [("alert-VB-001-1", "Ada", "")]
        await page.get_by_role("button", name=re.compile("Acknowledge the warning")).click()
        await expect(dialog.get_by_label("Token")).to_have_count(0)
        await expect(dialog.get_by_label("Your name")).to_have_value("Ada")
        await dialog.get_by_label("Reason").fill("on my way")
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        assert busy.changes.asked[1:] == [("alert-VB-005-1", "Ada", "on my way")]


async def test_a_wrong_token_is_said_and_asked_for_again(browser: Browser, busy: Gateway) -> None:
    async with opened(browser, busy, [], "#/alerts") as page:
        await page.get_by_role("button", name=re.compile("Acknowledge the critical")).click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Your name").fill("Ada")
        await dialog.get_by_label("Token").fill("wrong")
        await dialog.get_by_role("button", name="Acknowledge").click()
        await expect(dialog.get_by_role("alert")).to_have_text("The token is missing or wrong.")
        await dialog.get_by_label("Token").fill(TOKEN)
        await dialog.get_by_role("button", name="Acknowledge").click()
        await expect(dialog).to_have_count(0)
        assert len(busy.changes.asked) == 1


async def test_the_link_in_a_message_leads_to_its_alert(browser: Browser, busy: Gateway, complaints: list[str]) -> None:
    async with opened(browser, busy, complaints, "#alert=alert-VB-005-1") as page:
        await expect(page.locator("#alert-alert-VB-005-1")).to_be_focused()


async def test_earlier_alerts_are_text(browser: Browser, busy: Gateway, complaints: list[str]) -> None:
    async with opened(browser, busy, complaints, "#/alerts") as page:
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        await expect(page.locator(".closed tbody td").nth(3)).to_have_text(HOSTILE)
        await expect(page.locator("main script, main img")).to_have_count(0)


async def test_how_the_gateway_is(browser: Browser, busy: Gateway, complaints: list[str]) -> None:
    async with opened(browser, busy, complaints, "#/gateway") as page:
        tiles = page.locator(".tile")
        names = ["Ready", "Broker", "InfluxDB", "Messages", "Dead letters", "Journal", "Disk"]
        await expect(tiles.locator("h3")).to_have_text(names)
        values = ["yes", "connected", "12 entries", "1 failed", "2", "5.00 MB", "20.0 GB free"]
        await expect(tiles.locator("strong")).to_have_text(values)
        await expect(page.locator("table").first).to_contain_text("mail")


async def test_a_database_that_was_never_reached_is_no_healthy_one(
    browser: Browser, busy: Gateway, complaints: list[str]
) -> None:
    consumers = [{"name": "influx", "at": 0, "behind": 685}, {"name": "rollups_1m", "at": 900, "behind": 100}]
    busy.journal.condition_now = {**CONDITION, "consumers": consumers}
    async with opened(browser, busy, complaints, "#/gateway") as page:
        tile = page.locator(".tile", has=page.get_by_role("heading", name="InfluxDB"))
        await expect(tile).to_have_text("InfluxDB685 entriesbehind the journal: it has not been reached yet")
        await expect(tile).to_have_attribute("data-state", "warning")
        rows = page.locator("section", has=page.get_by_role("heading", name="Consumers")).locator("tbody tr")
        await expect(rows).to_have_text(["influx685, not reached yet"])


async def test_a_silence_is_said_beside_what_it_mutes_and_on_the_page_of_the_gateway(
    browser: Browser, busy: Gateway, complaints: list[str]
) -> None:
    busy.journal.known_silences = [silence("active", "alert-VB-001-1")]
    async with opened(browser, busy, complaints, "#/alerts") as page:
        muted = page.locator("#alert-alert-VB-001-1")
        words = re.compile(r"^silenced by Ada until 26 Nov 2035 \d\d:00: bearing change$")
        await expect(muted.locator(".notes")).to_have_text(words)
        await expect(muted).to_have_attribute("data-quiet", "")
        await expect(page.locator("#alert-alert-VB-005-1 .notes")).to_have_text("")
        await page.get_by_role("link", name="Gateway", exact=True).click()
        await expect(page.locator(".silences li")).to_contain_text(["Ada"])
        await expect(page.locator(".silences strong")).to_have_text("machine pump-7")
        await expect(page.locator(".silences p")).to_contain_text("Open alerts that nobody is told of: 1.")


async def test_an_alert_has_a_page_with_its_changes_and_who_was_told(
    browser: Browser, busy: Gateway, complaints: list[str]
) -> None:
    async with opened(browser, busy, complaints, "#/alerts") as page:
        await page.locator(".closed").get_by_role("link", name="Details").click()
        lives = page.locator(".life")
        await expect(lives.first.locator("strong")).to_have_text(["Raised", "Escalated", "Acknowledged"])
        await expect(lives.first.locator("p").first).to_have_text(HOSTILE)
        await expect(lives.first.locator("p").nth(1)).to_have_text("mail: sent after 1 attempt: 250 ok")
        await expect(lives.last.locator("strong")).to_have_text(["mail", "sms"])
        withheld = "Escalated: suppressed by silence: bearing change"
        await expect(lives.last.locator("p")).to_have_text(["Raised: sent after 1 attempt: 250 ok", withheld])
        await expect(page.locator("main script, main img")).to_have_count(0)


async def test_a_life_is_traced(browser: Browser, busy: Gateway, complaints: list[str]) -> None:
    async with opened(browser, busy, complaints, "#/trace") as page:
        await page.get_by_label("Id of a reading").fill("n1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".life li strong")).to_have_text(["Stored", "AlertRaised"])
        await expect(page.locator(".life p").first).to_have_text(f"entry 3 {HOSTILE}")


async def test_the_page_is_small_and_quick_even_with_a_thousand_sensors(browser: Browser, gateway: Gateway) -> None:
    """300 kB and a second on a quiet machine; three here, where other tests run."""
    await gateway.fleet(1000)
    page = await browser.new_page()
    sizes: list[int] = []
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.dataReceived", lambda event: sizes.append(event["encodedDataLength"] or event["dataLength"]))
    start = time.monotonic()
    await page.goto(gateway.url)
    await expect(page.locator(".group")).to_have_count(250)
    seconds = time.monotonic() - start
    assert 20_000 < sum(sizes) < 300_000
    assert seconds < 3
    await page.close()


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_what_was_heard_and_not_understood_is_said_with_what_would_read_it(
    browser: Browser, gateway: Gateway, complaints: list[str], *, width: int
) -> None:
    group: dict[str, Any] = HEARD["groups"][0]
    other = {**group, "pattern": "a/" + "long" * 60, "payload": HOSTILE, "detail": HOSTILE, "looksLike": HOSTILE}
    gateway.journal.heard = {**HEARD, "groups": [group, other]}
    async with opened(browser, gateway, complaints, width=width) as page:
        heard = page.locator("#empty .heard")
        await expect(heard).to_contain_text("67 messages on 40 topics")
        await expect(heard.locator("pre").first).to_have_text(group["payload"])
        await heard.locator("summary").nth(1).click()
        assert await page.locator("img[src=x]").count() == 0
        await heard.get_by_role("button", name="Propose [[inputs]]").first.click()
        await expect(heard.locator("pre").nth(1)).to_contain_text('topic = "mill/{sensor}/data"')
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.goto(gateway.url + "#/gateway")
        await expect(page.locator("#view > .heard")).to_contain_text("mill/+/data")
        found = await Axe().run(page, context=".heard")
        assert found.violations_count == 0, found.generate_report()


async def test_where_everything_was_understood_nothing_is_said_of_it(
    browser: Browser, gateway: Gateway, complaints: list[str]
) -> None:
    async with opened(browser, gateway, complaints) as page:
        await expect(page.locator("#empty")).to_be_visible()
        await expect(page.locator(".heard")).to_be_hidden()
