"""A gateway whose streams a worker translates, for clients of both APIs, and what becomes of each."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from edits import Edited, edited, key_line, new_key
from endless import Endless, endless

MODELS = ("chat", "messages")
_ENDS = {"chat": "[DONE]", "messages": "message_stop"}
CUT = {"cut: ClientPayloadError"}


class Answer:
    """A stream that is being read. `pieces` are those of its text; `outcome` says how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.pieces = 0
        self.request_id = ""
        self.outcome: asyncio.Task[str]

    @property
    def running(self) -> bool:
        return not self.outcome.done()


class Translated:
    """`chat` is a model for OpenAI's clients on a provider of Anthropic's kind, `messages` the other way round.

    The tenant `single` may have one request at a time.
    """

    def __init__(self, edits: Edited, provider: Endless) -> None:
        self.edits, self.gateway, self.provider = edits, edits.gateway, provider
        self.single = new_key()
        url, document = f"http://{provider.address}", edits.document
        document["providers"] |= {
            "claude": {"api": "anthropic", "base_url": url},
            "engine": {"api": "openai", "endpoints": [url]},
        }
        targets = {"chat": ["claude"], "messages": ["engine"], "direct": ["engine"]}
        models = {name: {"targets": [{"provider": p, "model": "m"} for p in ps]} for name, ps in targets.items()}
        failing = {"provider": "engine", "model": "failing"}
        models["second"] = {"targets": [failing, {"provider": "claude", "model": "m"}]}
        document["models"] = models
        document["tenants"]["acme"]["models"] = list(models)
        document["plans"] = {"single": {"concurrency": 1}}
        keys = [key_line(self.single)]
        document["tenants"]["single"] = {"plan": "single", "models": list(models), "keys": keys}

    async def short(self, model: str = "chat", key: str | None = None) -> int:
        """The status of a small request of OpenAI's kind."""
        return await self.edits.status_of(model, key)

    async def begin(self, model: str = "chat", key: str | None = None) -> Answer:
        """A stream of which something has come."""
        answer = Answer()
        answer.outcome = asyncio.create_task(self._read(model, key or self.edits.key, answer))
        begun = asyncio.create_task(answer.begun.wait())
        await asyncio.wait({begun, answer.outcome}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            raise AssertionError(f"no stream began: {await answer.outcome}")
        return answer

    async def begin_all(self, each: int) -> list[Answer]:
        """So many of each kind."""
        return await asyncio.gather(*(self.begin(model) for model in MODELS * each))

    async def begin_on_all(self) -> list[Answer]:
        """So many that each worker has some: of two that are as busy Envoy calls either."""
        streams = []
        for number in range(16):
            streams.append(await self.begin(MODELS[number % 2]))
            assert await self.short("direct") == 200
        return streams

    async def finish(self, streams: list[Answer]) -> set[str]:
        """Have the provider end its streams; how they ended for the clients."""
        self.provider.finish.set()
        return await outcomes(streams)

    async def _read(self, model: str, key: str, answer: Answer) -> str:
        path = "/v1/messages" if model == "messages" else "/v1/chat/completions"
        body = {"model": model, "messages": [{"role": "user", "content": "?"}], "stream": True, "max_tokens": 32}
        headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
        data = ""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session,
                session.post(f"http://{self.gateway.http}{path}", json=body, headers=headers) as reply,
            ):
                answer.request_id = reply.headers["x-request-id"]
                async for line in reply.content:
                    if line.startswith(b"data:"):
                        data = line[5:].decode().strip()
                        self._note(data, answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"cut: {type(error).__name__}"
        if _ENDS.get(model, "[DONE]") not in data:
            return f"ended with {data}"
        sent = self.provider.sent[answer.request_id]
        return "whole" if answer.pieces == sent else f"{answer.pieces} pieces of {sent}"

    def _note(self, data: str, answer: Answer) -> None:
        if '"x"' in data:  # the text of each piece
            json.loads(data)
            answer.pieces += 1
            answer.begun.set()


async def outcomes(streams: list[Answer]) -> set[str]:
    """How they ended, whatever ended them."""
    async with asyncio.timeout(60):
        return set(await asyncio.gather(*(stream.outcome for stream in streams)))


@asynccontextmanager
async def translated(folder: Path) -> AsyncIterator[Translated]:
    """Nothing is started yet but the provider."""
    async with edited(folder) as edits, endless() as provider:
        yield Translated(edits, provider)
