"""Translated streams that are larger than what Envoy holds for a client, from a provider that has sent all at once.

Among upstream filters Envoy 1.40 died of them: of the piece that filled the client's buffer after the provider's end.
"""

import asyncio
import json

import pytest
from chains import MODELS, PATHS, Chains, Surface
from provider_ways import LARGE_BYTES, LARGE_PIECES
from wire import connection, post, read_reply

MODELS.add("large/chat", [("claude", "large")])
MODELS.add("large/messages", [("engine", "large")])
SURFACES: tuple[Surface, ...] = ("chat", "messages")
TEXT_BYTES = LARGE_PIECES * LARGE_BYTES


@pytest.mark.parametrize("pause_s", [0.0, 0.7])
@pytest.mark.parametrize("surface", SURFACES)
async def test_a_large_stream_is_whole_and_envoy_lives(chains: Chains, surface: Surface, pause_s: float) -> None:
    envoy = chains.gateway.pids("envoy")
    body = {"model": f"large/{surface}", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    headers = {"content-type": "application/json", "x-api-key": chains.keys["acme"]}
    request = post(PATHS[surface], json.dumps(body | {"max_tokens": 100}).encode(), headers, close=False)
    for _ in range(3):
        async with connection(chains.gateway.http) as (reader, writer):
            writer.write(request)
            await asyncio.sleep(pause_s)  # a client that is slow to read
            reply = await read_reply(reader)
        assert (reply.status, reply.body.count(b"x" * LARGE_BYTES)) == (200, LARGE_PIECES)
        assert len(reply.body) > TEXT_BYTES
    assert chains.gateway.pids("envoy") == envoy
