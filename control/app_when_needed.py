"""The app, made when it is first needed: what it imports takes a second and 30 MB, and many gateways need none."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any


class AppWhenNeeded:
    """`make` imports and makes it, in a thread. Its lifespan begins with it, and ends with `close`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._app: Any = None
        self._lives = AsyncExitStack()

    async def __call__(self) -> Any:
        """The app."""
        if self._app is None:
            async with self._making:
                if self._app is None:
                    app = await asyncio.to_thread(self._make)
                    await self._lives.enter_async_context(app.router.lifespan_context(app))
                    self._app = app
        return self._app

    @property
    def is_made(self) -> bool:
        """Whether somebody has needed it."""
        return self._app is not None

    async def close(self) -> None:
        """End what it runs."""
        await self._lives.aclose()
