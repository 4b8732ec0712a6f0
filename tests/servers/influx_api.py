import json

from tests.servers.scripted_http import Asked, ScriptedHttp, answer


class InfluxApi(ScriptedHttp):
    """The write API of InfluxDB 2, with its points in a list: for what is about answers, not about a database.

    It answers with `status`; a line with one of `poison` in it is refused, and nothing of that request is written.
    """

    def __init__(self) -> None:
        super().__init__(self._answer, keeps=True)
        self.status = 204
        self.poison: set[bytes] = set()
        self.lines: list[bytes] = []
        self.tokens: set[str] = set()

    def _answer(self, asked: Asked) -> list[bytes]:
        self.tokens.add(asked.headers.get("authorization", ""))
        status, said = self.take(asked.body.splitlines())
        return [answer(status, json.dumps(said).encode() if said else b"", {"Content-Type": "application/json"})]

    def take(self, lines: list[bytes]) -> tuple[int, dict[str, str]]:
        """Take what was sent; return status and body of the answer."""
        if self.status != 204:
            return self.status, {"message": "not now"}
        if any(text in line for line in lines for text in self.poison):
            return 400, {"message": "field type conflict"}
        self.lines += lines
        return 204, {}
