"""Counts prompts: small ones in line, large ones in a thread, what was counted before not again. One per worker.

The tokenizer lets go of the GIL while it works, and gets pieces of at most a millisecond. A prompt's turn in the
thread ends after STEP characters, so that a huge one does not keep others waiting.
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from extproc.tokens.cache import Cache, Key
from extproc.tokens.cuts import pieces
from extproc.tokens.ranks import load
from extproc.tokens.rules import Encoding
from extproc.tokens.tally import Prompt, Size

if TYPE_CHECKING:
    import tiktoken

INLINE = 6_000  # characters counted in line, about 0.4 ms; a turn in the thread costs 0.1 ms
LOOKED_UP = 200_000  # characters digested in line for a look at the cache, 0.3 ms
STEP = 65_536
_SWITCH_S = 0.001  # how long the thread may keep the GIL from the loop; Python's own default is 5 ms
_EACH = 40  # characters' worth of work for a text, however short
_CACHED_FROM = 64  # characters; shorter texts are counted as fast as they are looked up


class Counter:
    """One for a worker. The tenant is part of every key of its cache."""

    def __init__(self, cache_texts: int = 16_384) -> None:
        self.cache = Cache(cache_texts)
        self.counted_chars = 0  # given to the tokenizer, ever
        self._encodings: dict[Encoding, tiktoken.Encoding] = {}

    def warm(self, encodings: Iterable[Encoding]) -> None:
        """Loads encodings now and in line: before a worker serves. Raises RanksError."""
        for name in encodings:
            self.encoding(name)

    def quick(self, prompt: Prompt, tenant: str) -> Size | None:
        """The prompt's size, where that takes no longer than about a millisecond; otherwise None."""
        counting = _Counting(self, prompt, tenant)
        return counting.finish() if self._is_quick(counting) else None

    async def count(self, prompt: Prompt, tenant: str) -> Size:
        """The prompt's size. Raises RanksError when its encoding cannot be loaded."""
        counting = _Counting(self, prompt, tenant)
        if not self._is_quick(counting):
            loop = asyncio.get_running_loop()
            while not await loop.run_in_executor(self._thread, counting.step):
                pass
        return counting.finish()

    def encoding(self, name: Encoding) -> "tiktoken.Encoding":
        """The encoding, loaded when it is first asked for. Raises RanksError."""
        found = self._encodings.get(name)
        if found is None:
            found = self._encodings[name] = load(name)
        return found

    def _is_quick(self, counting: "_Counting") -> bool:
        """Looks up what is quickly looked up; whether little enough is left to count, and nothing to load."""
        if counting.work > LOOKED_UP:
            return False
        counting.look_up()
        return counting.work == 0 or (counting.work <= INLINE and counting.encoding in self._encodings)

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        return ThreadPoolExecutor(1, thread_name_prefix="tokens")


class _Counting:
    """One prompt on its way: texts that the cache has not are counted step by step."""

    def __init__(self, counter: Counter, prompt: Prompt, tenant: str) -> None:
        self._counter, self._prompt, self._tenant = counter, prompt, tenant
        self._counts = [0] * len(prompt.texts)
        self._left: list[tuple[int, Key | None]] | None = None
        self._steps: Iterator[None] | None = None
        self.work = _work(prompt.texts)  # what is left to count, in characters

    @property
    def encoding(self) -> Encoding:
        """What it is counted in."""
        return self._prompt.rule.encoding

    def look_up(self) -> None:
        """Fills in what the cache knows."""
        self._left = []
        for index, text in enumerate(self._prompt.texts):
            key = self._key(text) if len(text) >= _CACHED_FROM else None
            known = self._counter.cache.get(key) if key else None
            if known is None:
                self._left.append((index, key))
            else:
                self._counts[index] = known
        self.work = _work(self._prompt.texts[index] for index, _ in self._left)

    def step(self) -> bool:
        """Counts on for a while; whether that was all."""
        if self._steps is None:
            self._steps = self._in_steps()
        return next(self._steps, self) is self

    def finish(self) -> Size:
        """Counts what is left, and sums up."""
        while not self.step():
            pass
        return self._prompt.size(self._counts)

    def _in_steps(self) -> Iterator[None]:
        if self._left is None:
            self.look_up()
        left, counter, done = self._left or [], self._counter, 0
        encode = counter.encoding(self.encoding).encode_ordinary if left else None
        for index, key in left:
            text, count = self._prompt.texts[index], 0
            for piece in pieces(text):
                count += len(encode(piece)) if encode else 0
                counter.counted_chars += len(piece)
                done += len(piece) + _EACH
                if done >= STEP:
                    done = 0
                    yield
            self._counts[index] = count
            if key:
                counter.cache.put(key, count)

    def _key(self, text: str) -> Key:
        digest = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        return self._tenant, self.encoding, digest


def _work(texts: Iterable[str]) -> int:
    return sum(len(text) + _EACH for text in texts)
