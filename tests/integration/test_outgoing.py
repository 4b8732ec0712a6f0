"""The one client: whatever a peer answers is an answer within bounds, or one reason in words."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.outgoing import client as outgoing
from gateway.outgoing.client import LARGEST_ANSWER, LONGEST_WAIT, SECONDS, Answer, Client, NoAnswerError, trusted
from tests.servers.certificates import issue
from tests.servers.ports import free_port
from tests.servers.scripted_http import Asked, ScriptedHttp, answer


@pytest.fixture(scope="module")
def peer() -> Iterator[ScriptedHttp]:
    server = ScriptedHttp(lambda _: [answer(200)])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def trust() -> ssl.SSLContext:
    return trusted()


async def ask(peer: ScriptedHttp, trust: ssl.SSLContext, *parts: bytes | float) -> Answer:
    peer.script = lambda _: parts
    async with Client("webhook", trust) as client:
        return await client.ask("POST", peer.url, b"hello")


async def told(peer: ScriptedHttp, trust: ssl.SSLContext, *parts: bytes | float) -> Answer | NoAnswerError:
    try:
        return await ask(peer, trust, *parts)
    except NoAnswerError as error:
        return error


async def failure(peer: ScriptedHttp, trust: ssl.SSLContext, *parts: bytes | float) -> NoAnswerError:
    with pytest.raises(NoAnswerError) as caught:
        await ask(peer, trust, *parts)
    return caught.value


headers = st.sampled_from(
    [
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"Location: ",
        b"Set-Cookie: ",
        b"Content-Encoding: gzip",
        b"\0",
    ]
)
pieces = st.one_of(
    st.binary(max_size=40), headers, st.sampled_from([b"\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"ffffffff\r\n"])
)


@given(st.integers(100, 999), st.lists(pieces, max_size=8))
@example(200, [b"Content-Length: ", b"9" * 400, b"\r\n\r\n"])
@example(302, [b"Location: file:///etc/passwd\r\n\r\n"])
@example(302, [b"Location: http://[::\r\n\r\n"])
@example(200, [b"Transfer-Encoding: chunked\r\n\r\n", b"ffffffffffffffffffffff\r\n"])
async def test_any_bytes_are_an_answer_within_bounds_or_one_reason(
    peer: ScriptedHttp, trust: ssl.SSLContext, status: int, parts: list[bytes]
) -> None:
    found = await told(peer, trust, b"HTTP/1.1 %d Fine\r\n" % status, *parts)
    if isinstance(found, NoAnswerError):
        assert 0 < len(str(found)) < 400
        assert found.sent
    else:
        assert len(found.body) <= LARGEST_ANSWER
        assert found.retry_after is None or 0 <= found.retry_after <= LONGEST_WAIT
        assert isinstance(found.json(), dict)
        assert isinstance(found.text, str)


@given(st.binary(max_size=200))
async def test_what_is_not_http_is_one_reason(peer: ScriptedHttp, trust: ssl.SSLContext, said: bytes) -> None:
    found = await failure(peer, trust, b"!" + said)
    assert "not HTTP" in str(found)
    assert found.sent


async def test_a_body_without_an_end_is_read_to_the_limit(peer: ScriptedHttp, trust: ssl.SSLContext) -> None:
    found = await ask(peer, trust, b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65_536] * 40)
    assert found.body == b"x" * LARGEST_ANSWER


async def test_nothing_is_decoded_and_nobody_is_asked_to_encode(peer: ScriptedHttp, trust: ssl.SSLContext) -> None:
    found = await ask(peer, trust, answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}))
    assert found.body == b"\x1f\x8b"
    assert peer.asked[-1].headers["accept-encoding"] == "identity"


async def test_no_redirection_is_followed_and_no_cookie_kept(peer: ScriptedHttp, trust: ssl.SSLContext) -> None:
    asked: list[Asked] = []

    def script(request: Asked) -> list[bytes]:
        asked.append(request)
        return [answer(307, b"", {"Location": "/elsewhere", "Set-Cookie": "a=b", "Connection": "close"})]

    peer.script = script
    async with Client("webhook", trust) as client:
        for _ in range(2):
            assert (await client.ask("POST", peer.url)).status == 307
    assert [(request.path, request.headers.get("cookie")) for request in asked] == [("/", None)] * 2


@pytest.mark.parametrize(
    "parts", [(5.0,), (b"HTTP/1.1 200 OK\r\n\r\n", *[b"x", 0.05] * 100), (b"HTTP/1.1 200 OK\r\n", *[b"a", 0.05] * 100)]
)
async def test_what_takes_longer_than_an_exchange_may_is_left(
    peer: ScriptedHttp, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes | float, ...]
) -> None:
    """However often something comes: it is the whole that is measured."""
    monkeypatch.setitem(SECONDS, "webhook", 0.3)
    found = await failure(peer, trust, *parts)
    assert str(found) == "no answer within 0.3 s"
    assert found.sent


async def test_nobody_there_has_taken_nothing(trust: ssl.SSLContext) -> None:
    async with Client("webhook", trust) as client:
        with pytest.raises(NoAnswerError, match=r"^no connection: ") as caught:
            await client.ask("POST", f"http://127.0.0.1:{free_port()}")
    assert not caught.value.sent


async def test_a_proxy_that_refuses_is_named(peer: ScriptedHttp, trust: ssl.SSLContext) -> None:
    peer.script = lambda _: [answer(407)]
    async with Client("webhook", trust, proxy=peer.url) as client:
        with pytest.raises(NoAnswerError, match=r"^the proxy does not let us through: 407") as caught:
            await client.ask("POST", "https://influxdb.example/")
    assert not caught.value.sent


async def test_http_where_tls_is_expected_is_named(peer: ScriptedHttp, trust: ssl.SSLContext) -> None:
    peer.script = lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]
    async with Client("webhook", trust) as client:
        with pytest.raises(NoAnswerError, match=r"^no TLS with it: .*does the address belong to https") as caught:
            await client.ask("POST", peer.url.replace("http:", "https:"))
    assert not caught.value.is_untrusted


async def test_a_certificate_of_somebody_else_is_named_and_is_trusted_with_its_authority(
    trust: ssl.SSLContext, tmp_path: Path
) -> None:
    files = issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(204))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with Client("influxdb", trust) as client:
            with pytest.raises(NoAnswerError, match="certificate is not trusted: unable to get local issuer") as caught:
                await client.ask("POST", url)
        assert (caught.value.is_untrusted, caught.value.sent) == (True, False)
        async with Client("influxdb", trusted(files.ca)) as client:
            assert (await client.ask("POST", url)).status == 204


def test_every_reason_is_in_words() -> None:
    assert all(" " in words for words in outgoing._WORDS.values())  # noqa: SLF001 - the table itself
