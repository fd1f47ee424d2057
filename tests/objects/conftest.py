import pytest

from tests.objects import moto


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of AWS, in the environment, and none of this machine's own."""
    for name, value in {**moto.CREDENTIALS, **moto.NOWHERE}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def no_credentials(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*moto.CREDENTIALS, "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
