"""Tells this gateway's workers how the replicas are: soon after something is new, and every second anyway."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import hiredis
import structlog

from headgate import metrics
from headgate.counters.client import Counters, Unavailable
from headgate.feed.messages import gateway_channel, replicas_alone
from headgate.feed.replicas import ByCluster

HEARTBEAT_S = 1.0
AT_MOST_EVERY_S = 0.4

log = structlog.get_logger()


class Teller:
    """`news` only takes note; `run` tells what `replicas` says then. While the counters are away nothing is told."""

    def __init__(self, counters: Counters, gateway: str, replicas: Callable[[], ByCluster]) -> None:
        self._counters = counters
        self._gateway = gateway
        self._replicas = replicas
        self._news = asyncio.Event()
        self._refused: str | None = None

    def news(self) -> None:
        """Something may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            self._news.clear()
            try:
                await self._tell()
            except Unavailable:  # the counters' client has said so
                pass
            except Exception:  # a bug of ours must not leave the workers without engines for good
                log.exception("engines: failed to tell")
            await asyncio.sleep(AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S - AT_MOST_EVERY_S):
                    await self._news.wait()

    async def _tell(self) -> None:
        message = replicas_alone(self._gateway, self._replicas())
        reply = await self._counters.publish(gateway_channel(self._gateway), message)
        refused = str(reply).partition(" ")[0] if isinstance(reply, hiredis.ReplyError) else None
        if refused is None:
            metrics.ENGINES_SENT.set(time.time())
        if refused != self._refused:
            self._refused = refused
            if refused:
                log.error("engines: the counters refuse to publish", reason=refused)
