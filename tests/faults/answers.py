"""What somebody may answer over HTTP, right or wrong: status, headers, body, and the time that it takes."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from tests.servers.scripted_http import Part, answer

STATUSES = [
    *[200, 201, 202, 203, 205, 206, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
    *[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423],
    *[424, 425, 426, 428, 429, 431, 444, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511, 520, 599, 999],
]
PIECE = b"x" * 65_536
GIGABYTE = 10**9
BOMB = gzip.compress(bytes(50_000_000))
OK = b"HTTP/1.1 200 OK\r\n"
GONE_WRONG = b'{"code":"internal error","message":"unexpected error writing points"}'


@dataclass(frozen=True)
class Told:
    """An answer: what is sent for it, which status a client makes of it, if any, and what kind of content it has.

    A `slow` one takes longer than any client waits in a test.
    """

    parts: Iterable[Part]
    status: int | None = None
    is_page: bool = False
    slow: bool = False


def dripping(text: bytes) -> Iterable[Part]:
    """Send a byte at a time, for a minute."""
    return [part for byte in text.ljust(1200, b"a") for part in (bytes([byte]), 0.05)]


class Endless:
    """The same again and again, as often as somebody reads it."""

    def __init__(
        self, beginning: bytes, pieces: tuple[Part, ...] = (PIECE,), times: int = GIGABYTE // len(PIECE)
    ) -> None:
        self._beginning, self._pieces, self._times = beginning, pieces, times

    def __iter__(self) -> Iterator[Part]:
        yield self._beginning
        yield from chain.from_iterable(repeat(self._pieces, self._times))


def headed(status: int, *lines: str, body: bytes = b"") -> Told:
    head = "\r\n".join([f"HTTP/1.1 {status} As-told", *lines, "", ""])
    return Told([head.encode("latin-1") + body], status)


def to(where: str, status: int = 302) -> Told:
    return headed(status, f"Location: {where}", "Content-Length: 0")


ANSWERS: dict[str, Told] = {
    **{str(status): Told([answer(status)], status) for status in STATUSES},
    "204": Told([answer(204)], 204),
    # bodies
    "200 with an error in it": Told([answer(200, GONE_WRONG)], 200),
    "200 with the login page of a proxy": Told(
        [answer(200, b"<html>Welcome to our network", {"Content-Type": "text/html; charset=utf-8"})], 200, is_page=True
    ),
    "200 of what is no text": Told([answer(200, bytes(range(256)) * 4)], 200),
    "200 with half a UTF-8 and a terminal's escape": Told([answer(200, b"\x1b[2J\xc3")], 200),
    "200 with 100,000 nested arrays": Told([answer(200, b"[" * 100_000)], 200),
    "200 with a number of 60,000 digits": Told([answer(200, b'{"sid":' + b"9" * 60_000 + b"}")], 200),
    "200 with a gigabyte": Told(Endless(OK + b"Content-Length: 1000000000\r\n\r\n"), 200),
    "200 without an end": Told(Endless(OK + b"\r\n"), 200),
    "200 in pieces without an end": Told(
        Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", (b"10000\r\n" + PIECE + b"\r\n",)), 200
    ),
    "200 in pieces of one byte": Told(
        Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", (b"1\r\nx\r\n" * 1000,), 200), 200
    ),
    "500 with a gigabyte": Told(Endless(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n"), 500),
    "400 without an end": Told(Endless(b"HTTP/1.1 400 No\r\n\r\n"), 400),
    "200 with a gzip bomb": Told([answer(200, BOMB, {"Content-Encoding": "gzip"})], 200),
    "400 with a gzip bomb": Told([answer(400, BOMB, {"Content-Encoding": "gzip"})], 400),
    "500 with a deflate bomb": Told([answer(500, zlib.compress(bytes(10**7)), {"Content-Encoding": "deflate"})], 500),
    "503 gzip thrice, of nothing": Told([answer(503, b"", {"Content-Encoding": "gzip, gzip, gzip"})], 503),
    "200 of an unknown encoding": Told([answer(200, b"ab", {"Content-Encoding": "zstd, br"})], 200),
    "204 with a body": Told([answer(204) + b"hello"], 204),
    "204 that says its length": headed(204, "Content-Length: 5", body=b"hello"),
    "422 partial write": Told(
        [answer(422, b'{"code":"unprocessable entity","message":"partial write: field type conflict dropped=1"}')], 422
    ),
    "400 of 1.x": Told([answer(400, b'{"error":"partial write: field type conflict: input field dropped=1"}')], 400),
    "400 of 3": Told(
        [answer(400, b'{"error":"partial write of line protocol occurred","data":[{"line_number":"x"},7,null]}')], 400
    ),
    "400 plain, as of http where TLS is": Told(
        [b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"], 400
    ),
    "413 of a proxy": Told([answer(413, b"<html>413", {"Content-Type": "text/html"})], 413, is_page=True),
    # where to
    "302 to a file": to("file:///etc/passwd"),
    "307 to a cloud's own address": to("http://169.254.169.254/latest/meta-data/", 307),
    "301 to itself": to("/", 301),
    "308 to another port": to("http://127.0.0.1:1/", 308),
    "302 to something else": to("gopher://example.com/1"),
    "302 to no address": to("http://[::"),
    "302 to a mile of address": to("http://example.com/" + "a" * 50_000),
    "302 to nowhere": headed(302, "Content-Length: 0"),
    # when again
    "429 after 1e9 s": headed(429, "Retry-After: 1000000000", "Content-Length: 0"),
    "429 after a number of 400 digits": headed(429, f"Retry-After: {'9' * 400}", "Content-Length: 0"),
    "429 after 1e9 in another spelling": headed(429, "Retry-After: 1e9", "Content-Length: 0"),
    "503 after less than nothing": headed(503, "Retry-After: -5", "Content-Length: 0"),
    "503 after the year 9999": headed(503, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "Content-Length: 0"),
    "503 after another alphabet's 2": headed(503, "Retry-After: \xb2", "Content-Length: 0"),
    # heads
    "200 with two lengths": headed(200, "Content-Length: 1", "Content-Length: 2", body=b"ab"),
    "200 with a length below 0": headed(200, "Content-Length: -1"),
    "200 with a length of 400 digits": headed(200, f"Content-Length: {'9' * 400}"),
    "200 with a length in words": headed(200, "Content-Length: seven"),
    "200 with too long a length": headed(200, "Content-Length: 100", body=b"short"),
    "200 with too short a length": headed(200, "Content-Length: 1", body=b"long"),
    "200 in an unknown transfer": headed(200, "Transfer-Encoding: pigeon"),
    "200 with a length and in pieces": headed(
        200, "Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "200 in pieces of no number": headed(200, "Transfer-Encoding: chunked", body=b"zz\r\n"),
    "200 in a piece of too many digits": headed(200, "Transfer-Encoding: chunked", body=b"f" * 30 + b"\r\n"),
    "200 in pieces that break off": headed(200, "Transfer-Encoding: chunked", body=b"5\r\nab"),
    "200 with a header of a megabyte": Told([OK + b"A: " + b"a" * 10**6 + b"\r\n\r\n"]),
    "200 with 100,000 headers": Told([OK + b"A: a\r\n" * 100_000 + b"\r\n"]),
    "200 with 1,000 headers": headed(200, *[f"A{number}: a" for number in range(1000)], "Content-Length: 0"),
    "200 with 500 cookies": headed(200, *[f"Set-Cookie: c{each}={each}" for each in range(500)], "Content-Length: 0"),
    "200 with a header without a colon": headed(200, "nonsense"),
    "200 with a NUL in a header": headed(200, "A: \0", "Content-Length: 0"),
    "200 without a reason": Told([b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"], 200),
    "200 of HTTP/1.0": Told([b"HTTP/1.0 200 OK\r\n\r\nhello"], 200),
    "204 after 1,000 hints": Told([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000, answer(204)], 204),
    "101, another protocol": headed(101, "Upgrade: websocket", "Connection: Upgrade"),
    "two answers for one": Told([answer(204) + answer(500)], 204),
    # no HTTP
    "HTTP/0.9": Told([b"<html>hello</html>"]),
    "HTTP/9.9": Told([b"HTTP/9.9 200 OK\r\n\r\n"], 200),
    "a status of two digits": Told([b"HTTP/1.1 20 OK\r\n\r\n"]),
    "a status in words": Told([b"HTTP/1.1 fine\r\n\r\n"]),
    "what is no text": Told([bytes(range(256))]),
    "zeros without an end": Told(Endless(b"", (bytes(65_536),))),
    "a line without an end": Told(Endless(b"HTTP/1.1 200 ")),
    "an alert of TLS": Told([b"\x15\x03\x01\x00\x02\x02\x46"]),
    "the beginning of HTTP/2": Told([b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"]),
    "a banner of SSH": Told([b"SSH-2.0-OpenSSH_9.2\r\n"]),
    # connections
    "closed at once": Told([]),
    "closed in the first line": Told([b"HTTP/1.1 2"]),
    "closed in the headers": Told([OK + b"Content-Le"]),
    "reset at once": Told([None]),
    "reset in the body": Told([OK + b"Content-Length: 100\r\n\r\nab", 0.02, None]),
    # times
    "nothing, for ever": Told([60.0], slow=True),
    "a head and nothing more": Told([OK + b"Content-Length: 5\r\n\r\n", 60.0], slow=True),
    "a first line a byte at a time": Told(dripping(b"HTTP/1.1 200 "), slow=True),
    "a header a byte at a time": Told([OK, *dripping(b"A: ")], slow=True),
    "a body a byte at a time": Told([OK + b"\r\n", *dripping(b"")], slow=True),
    "pieces a byte at a time": Told(
        Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", (b"1\r\nx\r\n", 0.05), 1200), slow=True
    ),
    "go on, for ever": Told(Endless(b"", (b"HTTP/1.1 100 Continue\r\n\r\n", 0.05), 1200), slow=True),
    "204 after a minute": Told([60.0, answer(204)], slow=True),
}  # fmt: skip
BROKEN = {
    "200 with two lengths",
    "200 with a length below 0",
    "200 with a length of 400 digits",
    "200 with a length in words",
    "200 with too long a length",
    "200 in an unknown transfer",
    "200 in pieces of no number",
    "200 in a piece of too many digits",
    "200 in pieces that break off",
    "200 with a header without a colon",
    "200 with a NUL in a header",
    "302 to no address",
}
"""Those that are no answer, whatever their first line says."""
