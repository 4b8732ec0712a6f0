"""Certificates: when they end, and who is told of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.config import Config, load
from gateway.domain.model.events import Severity
from gateway.security.certificates import AHEAD, ending
from gateway.telemetry.certificates import SUBJECT, watch_certificates

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIG = '[gateway]\nid = "edge-1"\nstate_dir = "state"\n[mqtt]\ntopics = ["v/{{sensor}}"]\n{more}'


def configured(folder: Path, more: str = "") -> Config:
    file = folder / "gateway.toml"
    file.write_text(CONFIG.format(more=more))
    return load(file, {})


def with_client_certificate(folder: Path, *ends: datetime, ca: str = "") -> Config:
    """Return a configuration whose client certificate is followed by others; each ends at one of these times."""
    authority = trustme.CA()
    made = [authority.issue_cert(common_name="gateway", not_before=NOW - 20000 * DAY, not_after=end) for end in ends]
    made[0].private_key_pem.write_to_path(str(folder / "key.pem"))
    for one in made:
        one.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"), append=True)
    return configured(folder, f'tls = {{ cert = "{folder}/cert.pem", key = "{folder}/key.pem"{ca} }}')


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (NOW + AHEAD - timedelta(seconds=1), "ends on 2026-03-31 11:59 UTC"),
        (NOW - DAY, "has ended on 2026-02-28 12:00 UTC"),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), "has ended on 1999-12-31 23:59 UTC"),
    ],
)
def test_one_that_ends_soon_or_has_ended_is_named_with_its_file(tmp_path: Path, end: datetime, said: str) -> None:
    config = with_client_certificate(tmp_path, end)
    assert ending(config, NOW) == [f"mqtt.tls.cert: {tmp_path}/cert.pem {said}; renew it"]


@pytest.mark.parametrize(
    "end",
    [
        NOW + AHEAD,
        datetime(2049, 12, 31, tzinfo=UTC),
        datetime(2050, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ],
)
def test_one_that_lasts_is_not(tmp_path: Path, end: datetime) -> None:
    assert ending(with_client_certificate(tmp_path, end), NOW) == []


def test_a_chain_ends_with_its_first_and_authorities_with_their_last(tmp_path: Path) -> None:
    config = with_client_certificate(tmp_path, NOW + 365 * DAY, NOW + DAY)
    assert len(ending(config, NOW)) == 1
    (tmp_path / "cert.pem").rename(tmp_path / "ca.pem")
    config = configured(tmp_path, f'tls = {{ ca = "{tmp_path}/ca.pem" }}')
    assert ending(config, NOW) == []
    (found,) = ending(config, NOW + 364 * DAY)
    assert found.startswith("mqtt.tls.ca: ")


def test_those_of_handlers_and_of_the_database_count_too(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca))
    more = (
        f'[influxdb]\nurl = "https://db"\norg = "o"\nbucket = "b"\ntoken = "t"\nca = "{ca}"\n'
        f'[handlers.mail]\ntype = "email"\nca = "{ca}"\n'
    )
    found = ending(configured(tmp_path, more), datetime(9999, 1, 1, tzinfo=UTC))
    assert [line.partition(":")[0] for line in found] == ["influxdb.ca", "handlers.mail.ca"]


@pytest.mark.parametrize("content", ["", "no certificate", "cut"])
def test_a_file_that_is_none_any_more_is_named(tmp_path: Path, content: str) -> None:
    config = with_client_certificate(tmp_path, NOW + 365 * DAY)
    whole = (tmp_path / "cert.pem").read_text().splitlines()
    cut = "\n".join([whole[0], *whole[1:5], whole[-1]])
    (tmp_path / "cert.pem").write_text(cut if content == "cut" else content)
    (found,) = ending(config, NOW)
    assert found.startswith(f"mqtt.tls.cert: until when {tmp_path}/cert.pem holds cannot be read: ")


async def test_the_gateway_tells_of_itself_until_it_is_renewed(tmp_path: Path) -> None:
    config = with_client_certificate(tmp_path, datetime.now(UTC) + DAY)
    told: asyncio.Queue[tuple[str, str | None, Severity]] = asyncio.Queue()

    async def report(*what: object) -> None:
        await told.put(what)  # type: ignore[arg-type] # as it comes

    watching = asyncio.create_task(watch_certificates(config, report, look_every=0.01))
    subject, problem, severity = await told.get()
    assert (subject, severity) == (SUBJECT, "warning")
    assert problem is not None
    assert "mqtt.tls.cert: " in problem
    (tmp_path / "cert.pem").unlink()
    with_client_certificate(tmp_path, datetime.now(UTC) + 365 * DAY)
    async with asyncio.timeout(30):
        while (await told.get())[1] is not None:
            pass
    watching.cancel()
