"""A simulated prefix cache: which beginnings of prompts were seen before. Pure.

As vLLM's: whole blocks count, an adapter's are its own, the least recently used go first, and the last token of a
prompt is always computed.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

from engines.simulator.bodies import ChatBody, CompletionBody, Generation, prompts_of

BLOCK_TOKENS: Final = 16  # vLLM's on a GPU


class Prefixes:
    """Remembers up to `capacity` tokens, in blocks; 0 remembers nothing."""

    def __init__(self, capacity: int) -> None:
        self._most = capacity // BLOCK_TOKENS
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def __bool__(self) -> bool:
        return self._most > 0

    def cached(self, weights: str, words: Sequence[str]) -> int:
        """Return how many first tokens of a prompt were known; all of them are now."""
        known, hits = True, 0
        for digest in _digests(weights, words):
            known = known and digest in self._blocks
            hits += known
            self._blocks[digest] = None
            self._blocks.move_to_end(digest)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)
        return min(hits, max(0, len(words) - 1) // BLOCK_TOKENS) * BLOCK_TOKENS


def prompt_words(body: Generation) -> list[str]:
    """Return the tokens of a request's prompt; of several prompts, none: they are not looked up."""
    if isinstance(body, ChatBody):
        return [word for message in body.messages for text in message.texts for word in text.split()]
    if isinstance(body, CompletionBody):
        prompts = prompts_of(body.prompt, "prompt")
        return prompts[0].split() if len(prompts) == 1 else []
    return []


def _digests(weights: str, words: Sequence[str]) -> Iterator[bytes]:
    """One per whole block, over everything up to its end."""
    prefix = hashlib.blake2b(weights.encode(), digest_size=16)
    for at in range(0, len(words) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        prefix.update(" ".join(words[at : at + BLOCK_TOKENS]).encode("utf-8", "surrogatepass") + b"\0")
        yield prefix.digest()
