from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.smtp import SmtpServer


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[SmtpServer]:
    """A mail server as providers run them: STARTTLS, and a login."""
    server = SmtpServer(tmp_path, security="starttls", username="gateway", password="a-mail-password")
    server.start()
    yield server
    server.stop()
