"""GPUs of this host by NVML, where its Python binding (nvidia-ml-py) is installed and a driver answers; else none.

In a thread of its own: a driver that hangs holds up nobody. Asked only where an engine of this host has GPUs.
"""

import asyncio
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from headgate.engine_standing import GpuStanding

EVERY_S = 2.0

log = structlog.get_logger()


class Gpus:
    """`run` asks again and again while `wanted`; `found` is what was said last."""

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self.found: list[GpuStanding] = []
        self._wanted = wanted
        self._library: Any = None

    async def run(self) -> None:
        """Until cancelled."""
        threads, loop = ThreadPoolExecutor(1, "nvml"), asyncio.get_running_loop()
        try:
            while True:
                self.found = await loop.run_in_executor(threads, self._ask) if self._wanted() else []
                await asyncio.sleep(EVERY_S)
        finally:
            threads.shutdown(wait=False)

    def _ask(self) -> list[GpuStanding]:
        library = self._begun()
        if library is None:
            return []
        try:
            return [_gpu(library, index) for index in range(library.nvmlDeviceGetCount())]
        except library.NVMLError as error:
            log.warning("GPUs can't be asked", error=str(error))
            self._library = None  # the driver may have been renewed: begin anew
            return []

    def _begun(self) -> Any:
        if self._library is None:
            try:
                library = importlib.import_module("pynvml")
                library.nvmlInit()
            except Exception as error:  # noqa: BLE001 - no binding, no driver, one that is too old: then there are none
                log.debug("no GPUs are watched", error=f"{type(error).__name__}: {error}")
                return None
            self._library = library
        return self._library


def _gpu(library: Any, index: int) -> GpuStanding:
    handle = library.nvmlDeviceGetHandleByIndex(index)
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    used = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    return GpuStanding(index, used, int(memory.used), int(memory.total))
