"""What providers say is left of their limits steers the order of two gateways' workers before a limit is hit."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from counting_provider import CountingProvider, counting_provider
from limited import metric, until
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat

KEY = f"hg-{token_urlsafe(32)}"
LIMIT = 200
SECRET = {"HEADGATE_TEST_COUNTED": "sk-counted"}


def configuration(counted: CountingProvider, spare: CountingProvider) -> dict[str, Any]:
    root = "/v1" if counted.api == "openai" else ""
    key = "env:HEADGATE_TEST_COUNTED"
    providers = {
        "counted": {"api": counted.api, "base_url": f"http://{counted.address}{root}", "api_key": key},
        "spare": {"api": "openai", "endpoints": [f"http://{spare.address}"]},
    }
    targets = [{"provider": name, "model": "m"} for name in providers]
    models = {"chat": {"targets": targets}, "alone": {"targets": targets[:1]}}
    digest = sha256(KEY.encode()).hexdigest()
    return {
        "providers": providers,
        "models": models,
        "tenants": {"acme": {"models": list(models), "keys": [{"name": "only", "sha256": digest}]}},
    }


@pytest.fixture
def spare() -> Iterator[CountingProvider]:
    with counting_provider("openai", 10**6, 3600) as provider:
        yield provider


async def ask_all(gateway: RunningGateway, number: int, at_once: int, model: str = "chat") -> "Counter[str]":
    """Who answered."""
    found: Counter[str] = Counter()
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=at_once)) as session:

        async def ask() -> None:
            reply = await session.post(gateway.url + CHAT, json=chat(model), headers=headers)
            assert reply.status_code == 200, reply.text
            assert not [name for name in reply.headers if "ratelimit" in name or name == "x-headgate-left"]
            found[f"{reply.headers['x-headgate-target']} {reply.headers['x-headgate-attempts']}"] += 1

        await asyncio.gather(*(ask() for _ in range(number)))
    return found


@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_no_429_is_drawn_while_another_target_has_room(
    api: str, spare: CountingProvider, tmp_path: Path
) -> None:
    """Far more than the limit, many at once; afterwards the target is asked again."""
    with (
        counting_provider(api, LIMIT, window_s=25) as counted,
        running_gateway(tmp_path, configuration(counted, spare), SECRET) as gateway,
    ):
        assert await ask_all(gateway, 1, 1) == {"counted 1": 1}
        await until(lambda: metric(gateway, "headgate_provider_limit_left") == LIMIT - 1)
        assert metric(gateway, "headgate_provider_limit{") == LIMIT
        found = await ask_all(gateway, 3 * LIMIT, 16)
        assert counted.refused == 0
        assert set(found) == {"counted 1", "spare 1"}
        assert found["counted 1"] > LIMIT / 2  # used as long as there is enough
        # A twentieth of the limit is spared, and is there for who has no other target.
        assert await ask_all(gateway, 3, 1, model="alone") == {"counted 1": 3}
        deadline = time.monotonic() + 120
        while (await ask_all(gateway, 1, 1)) != {"counted 1": 1}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)
        assert counted.refused == 0


async def test_what_says_nothing_readable_changes_nothing(spare: CountingProvider, tmp_path: Path) -> None:
    class Odd(CountingProvider):
        def _headers(self, *_: float) -> dict[str, str]:
            return {"x-ratelimit-remaining-requests": "a; few", "x-ratelimit-remaining-tokens": '0", "x": "'}

    with counting_provider("openai", LIMIT, 3600) as odd:
        odd.__class__ = Odd
        with running_gateway(tmp_path, configuration(odd, spare), SECRET) as gateway:
            assert await ask_all(gateway, 20, 4) == {"counted 1": 20}
            await until(lambda: metric(gateway, "headgate_provider_limit_junk_total") >= 40)
            assert await ask_all(gateway, 20, 4) == {"counted 1": 20}
