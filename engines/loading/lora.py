"""vLLM's endpoints for adapters, of one replica: what it has, load, unload, and a first answer by a version's name.

https://docs.vllm.ai/en/latest/features/lora.html: they are there with VLLM_ALLOW_RUNTIME_LORA_UPDATING. What the
engine says in an error is passed on in part; paths are not.
"""

from collections.abc import Callable

import msgspec

from engines.loading.next_step import Resident
from engines.loading.promotion import Fails
from engines.loading.reasons import Reason
from engines.watch.asking import Asker, Trouble
from engines.watch.exposition import measured
from engines.watch.models import Served, served

LOAD_S = 120.0  # an adapter of 1 GB, from a disk that is busy
UNLOAD_S = 30.0
SMOKE_S = 60.0  # it may have to wait for requests that run
_COMPLETIONS = "/v1/completions"
_SMOKE: dict[str, dict[str, object]] = {  # the first of them that it has
    _COMPLETIONS: {"prompt": "Hello", "max_tokens": 4, "temperature": 0},
    "/v1/embeddings": {"input": "Hello"},
    "/pooling": {"input": "Hello"},
    "/classify": {"input": "Hello"},
}
_MOST_TEXT = 300


class CannotServe(Exception):  # noqa: N818 - it is the adapter's or the engine's and no error of ours
    """Why it is not served. `fails` has the reason."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.fails = Fails(reason, text)


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    """`{"error": {"message": …}}`; versions before had the message itself there."""

    error: _Error | str | None = None
    message: str = ""


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct, frozen=True):
    usage: _Usage


class _Description(msgspec.Struct, frozen=True):
    """OpenAPI's, as far as it counts here: what there is to ask."""

    paths: dict[str, msgspec.Raw] = {}


class Lora:
    """One replica's. `note` is told what it serves, with each look; `is_ours` says which adapters are."""

    def __init__(self, asker: Asker, note: Callable[[Served], None], is_ours: Callable[[str], bool]) -> None:
        self._asker = asker
        self._note = note
        self._is_ours = is_ours
        self._path: str | None = None

    async def look(self) -> tuple[Resident, ...]:
        """What it has now, and what requests run or wait on. Raises CannotServe."""
        try:
            serves = served(await self._asker.models())
            found = measured(await self._asker.metrics())
        except (Trouble, ValueError) as error:
            raise CannotServe(Reason.AWAY, f"the engine can't be asked: {error}") from None
        self._note(serves)
        # Where it does not say how many requests there are, what it last said of adapters counts.
        idle = found.running == 0 and found.waiting == 0
        busy = frozenset() if idle else found.running_adapters
        return tuple(Resident(name, name in busy, self._is_ours(name)) for name in sorted(serves.adapters))

    async def load(self, name: str, path: str) -> None:
        """The adapter whose files are in this folder of the engine's. Raises CannotServe."""
        status, body = await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, LOAD_S)
        if not await self._has(name):  # it may have been there: that is 400
            said = (
                "it is not among its models" if status == 200 else _said(body).replace(path, "the adapter's folder")
            )
            reason = _reason_of(status, Reason.REFUSED)
            raise CannotServe(reason, f"the engine does not load it ({status}): {said}")

    async def unload(self, name: str) -> None:
        """What is not there is unloaded. Raises CannotServe."""
        status, body = await self._post("/v1/unload_lora_adapter", {"lora_name": name}, UNLOAD_S)
        if await self._has(name):
            said = "it is still among its models" if status == 200 else _said(body)
            reason = _reason_of(status, Reason.REFUSED)
            raise CannotServe(reason, f"the engine does not unload it ({status}): {said}")

    async def smoke(self, name: str) -> None:
        """A few tokens by its name, or what else the engine makes of a prompt. Raises CannotServe."""
        path = await self._first_path()
        asked = {"model": name, **_SMOKE[path]}
        status, body = await self._post(path, asked, SMOKE_S)
        if status != 200:
            reason = _reason_of(status, Reason.SMOKE if self._path else Reason.TROUBLE)
            raise CannotServe(reason, f"the engine does not answer by it ({status}): {_said(body)}")
        try:
            usage = msgspec.json.decode(body, type=_Answer).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CannotServe(Reason.SMOKE, f"the engine's answer by it is none of {path}") from None
        if (usage.completion_tokens if path == _COMPLETIONS else usage.prompt_tokens) < 1:
            raise CannotServe(Reason.SMOKE, "the engine's answer by it has no token")

    async def _first_path(self) -> str:
        """What it can be asked: an engine that makes vectors has no completions. Raises CannotServe.

        One that does not say so just now is asked anew the next time.
        """
        if self._path is None:
            try:
                status, body = await self._asker.get("/openapi.json")
            except Trouble as trouble:
                if trouble.kind not in ("too_large", "unreadable"):
                    raise CannotServe(Reason.AWAY, f"the engine can't be asked: {trouble}") from None
                status, body = 0, b""
            if _passes(status):
                return _COMPLETIONS
            self._path = _path_in(body) if status == 200 else _COMPLETIONS  # it may keep that to itself
        return self._path

    async def _has(self, name: str) -> bool:
        return any(resident.name == name for resident in await self.look())

    async def _post(self, path: str, asked: dict[str, object], within_s: float) -> tuple[int, bytes]:
        try:
            return await self._asker.post(path, msgspec.json.encode(asked), within_s)
        except Trouble as trouble:
            reason = Reason.SILENT if trouble.kind == "silent" else Reason.AWAY
            raise CannotServe(reason, f"the engine can't be asked: {trouble}") from None


def _reason_of(status: int, refused: Reason) -> Reason:
    """vLLM says 500 of files that it can't read, too; those were checked before, and other causes pass."""
    return Reason.TROUBLE if _passes(status) else refused


def _passes(status: int) -> bool:
    return status == 429 or status >= 500


def _path_in(body: bytes) -> str:
    try:
        paths = msgspec.json.decode(body, type=_Description).paths
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _COMPLETIONS
    return next((path for path in _SMOKE if path in paths), _COMPLETIONS)


def _said(body: bytes) -> str:
    """The engine's words, in one line of printable characters."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "no reason given"
    said = refusal.error.message if isinstance(refusal.error, _Error) else refusal.error or refusal.message
    line = " ".join(said.split())
    return "".join(char for char in line if char.isprintable())[:_MOST_TEXT] or "no reason given"
