"""`headgate restart` with TLS: connections of every version of HTTP go on, and new ones are answered."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2
from running_gateway import HEADGATE
from tenants import CHAT, Keys, chat, configuration
from test_gateway_tls import Served, bearer, served
from tls_client import http3, trusting
from upstreams import Engine

TOKENS = 80
LONG = {"tokens": TOKENS, "token_s": 0.1}


async def _over_http3(tls: Served, keys: Keys, **simulate: Any) -> bytes:
    body = json.dumps(chat(stream=True, simulate=simulate)).encode()
    return (await http3(tls.address, tls.authority, "POST", CHAT, bearer(keys), body)).body


async def _over_tcp(tls: Served, keys: Keys, http2: bool, **simulate: Any) -> bytes:
    body = chat(stream=True, simulate=simulate)
    verify = trusting(tls.authority)
    async with httpx2.AsyncClient(base_url=tls.url, verify=verify, http2=http2, timeout=20) as client:
        return (await client.post(CHAT, json=body, headers=bearer(keys))).read()


def _is_whole(stream: bytes, tokens: int) -> bool:
    return stream.count(b'"content":"') == tokens + 1 and stream.endswith(b"data: [DONE]\n\n")


async def test_a_restart_keeps_every_stream(tmp_path: Path, engine: Engine, keys: Keys) -> None:
    config = configuration(keys, engine.address, "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1")
    with served(tmp_path, config, http3=True) as tls:
        running = [
            asyncio.create_task(stream)
            for stream in (
                _over_tcp(tls, keys, False, **LONG),
                _over_tcp(tls, keys, True, **LONG),
                _over_http3(tls, keys, **LONG),
            )
        ]
        await asyncio.sleep(1)
        command = [HEADGATE, "restart", "--state", str(tls.gateway.state)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        short = [_over_tcp(tls, keys, http2, tokens=3) for http2 in (False, True) for _ in range(10)]
        assert all(_is_whole(stream, 3) for stream in await asyncio.gather(*short))
        assert all(_is_whole(stream, TOKENS) for stream in await asyncio.gather(*running))
        async with asyncio.timeout(60):
            while tls.gateway.pids("envoy-retired-"):  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.1)
        assert _is_whole(await _over_http3(tls, keys, tokens=3), 3)
