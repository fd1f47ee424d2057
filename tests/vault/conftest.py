from collections.abc import Iterator

import pytest
from bao_server import Bao, bao_server


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """For tests that leave it as they found it."""
    with bao_server(tmp_path_factory.mktemp("bao")) as server:
        yield server
