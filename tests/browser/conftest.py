from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.gateway import Gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Collect what the browser complains of; the test fails if there is anything."""
    said: list[str] = []
    yield said
    assert said == []
