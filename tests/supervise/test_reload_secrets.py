"""Providers' keys that change under a running `headgate up`: on disk, by name, together with where they go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from edits import Edited, edited, engine

PROVIDER_KEY = {"HEADGATE_TEST_KEY": "sk-first"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


async def test_a_secret_that_changes_on_disk_is_handed_on_and_a_broken_one_is_not(gateway: Edited) -> None:
    secret = gateway.folder / "provider-key"
    secret.write_text("sk-one\n")
    gateway.document["providers"]["local"]["api_key"] = f"file:{secret}"
    await gateway.start()
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-one"

    async def becomes(expected: str) -> None:
        """Each of Envoy's threads looks for itself; many requests in a row meet all of them."""
        in_a_row = 0
        async with asyncio.timeout(60):
            while in_a_row < 12:
                assert await gateway.status_of() == 200
                in_a_row = in_a_row + 1 if gateway.local.seen()[-1]["authorization"] == expected else 0

    secret.write_text("sk-two\n")
    await becomes("Bearer sk-two")
    secret.write_text("")
    error = await gateway.fails()
    assert "providers.local.api_key" in error
    assert "the one in use stays" in error
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-two"
    secret.write_text("sk-three\n")
    await becomes("Bearer sk-three")
    assert await gateway.config() | {"age_s": 0, "loaded": ""} == {
        "generation": 1, "age_s": 0, "loaded": "", "error": None
    }  # fmt: skip
    assert "sk-" not in gateway.gateway.log()


async def test_a_variable_that_is_not_there_is_a_clear_error(gateway: Edited) -> None:
    await gateway.start(**PROVIDER_KEY)
    gateway.document["providers"]["local"]["api_key"] = "env:HEADGATE_TEST_OTHER"
    gateway.save()
    error = await gateway.fails()
    assert "environment variable HEADGATE_TEST_OTHER is not set" in error
    assert "the environment of its start" in error
    gateway.document["providers"]["local"]["api_key"] = "env:HEADGATE_TEST_KEY"
    gateway.save()
    await gateway.mends()
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-first"


async def test_a_provider_that_moves_takes_its_new_key_to_the_new_place_alone(gateway: Edited) -> None:
    async with engine(gateway.folder, "other") as other:
        (gateway.folder / "one").write_text("sk-one")
        (gateway.folder / "two").write_text("sk-two")
        places = [(gateway.local, "one"), (other, "two")]
        gateway.document["providers"]["local"]["api_key"] = "file:one"
        await gateway.start()
        moving = asyncio.Event()

        async def asking() -> None:
            while not moving.is_set():
                assert await gateway.status_of() == 200

        clients = [asyncio.create_task(asking()) for _ in range(8)]
        for turn in range(1, 7):
            place, key = places[turn % 2]
            gateway.document["providers"]["local"] |= {
                "endpoints": [f"http://{place.address}"],
                "api_key": f"file:{key}",
            }
            await gateway.saved()
        moving.set()
        await asyncio.gather(*clients)
        for place, key in places:
            assert {seen["authorization"] for seen in place.seen()} == {f"Bearer sk-{key}"}
