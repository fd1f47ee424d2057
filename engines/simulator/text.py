"""Deterministic English-looking text in word-sized pieces, from a hash of the question. Pure.

The first words say that the answer is simulated; the same question, seed and choice give the same text.
"""

import hashlib
from functools import lru_cache
from typing import Final

OPENING: Final = ("This", " is", " a", " simulated", " answer.")
_DEFAULT_TOKENS: Final = range(32, 49)
_QUOTED_WORDS: Final = 6
_GROUP_CHARS: Final = 4  # OpenAI's rule of thumb: a token is about four characters of English
_WORDS: Final = (
    "the", "water", "gate", "opens", "before", "a", "slow", "river", "and", "every", "stream", "is",
    "measured", "by", "its", "keeper", "who", "counts", "each", "drop", "until", "evening", "when",
    "small", "boats", "pass", "under", "old", "bridge", "while", "quiet", "fields", "drink", "from",
    "narrow", "channels", "of", "stone", "that", "carry", "light", "through", "green", "valley",
    "toward", "distant", "mill", "where", "wheels", "turn", "with", "patient", "rhythm", "no", "one",
    "hurries", "because", "level", "stays", "even", "all", "day", "long", "again",
)  # fmt: skip


def digest_of(text: str, seed: int | None = None, choice: int = 0) -> bytes:
    """Return the 16 bytes that decide an answer to `text`."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(f"\0{seed}\0{choice}".encode())
    return digest.digest()


def default_length(digest: bytes) -> int:
    """Return how many tokens an answer has when nobody says: 32 to 48."""
    return _DEFAULT_TOKENS[digest[0] % len(_DEFAULT_TOKENS)]


@lru_cache(maxsize=512)
def answer_pieces(digest: bytes, quote: str, count: int, weights: str = "") -> tuple[str, ...]:
    """Return exactly `count` pieces: the opening, an adapter's weights, what was asked, then sentences."""
    pieces = [*OPENING, " Weights:", f" {weights}."] if weights else list(OPENING)
    if quote:
        first, *rest = f"\N{LEFT DOUBLE QUOTATION MARK}{quote}\N{RIGHT DOUBLE QUOTATION MARK}.".split(" ")
        pieces += [" You", " asked:", f" {first}", *(f" {word}" for word in rest)]
    missing = count - len(pieces)
    if missing > 0:
        pieces += _sentences(digest, missing)
    return tuple(pieces[:count])


def quote_of(question: str) -> str:
    """Return the first few words of the question, to be quoted in the answer."""
    words = question[:400].split()  # 400 characters hold six words of anything worth quoting
    more = " …" if len(words) > _QUOTED_WORDS else ""
    return " ".join(word[:40] for word in words[:_QUOTED_WORDS]) + more


def text_pieces(text: str, count: int | None = None) -> tuple[str, ...]:
    """Cut an exact text into `count` pieces (at most one per character), or into groups of four."""
    if count is None:
        return tuple(text[at : at + _GROUP_CHARS] for at in range(0, len(text), _GROUP_CHARS))
    count = min(count, len(text)) or min(1, len(text))
    return tuple(text[at * len(text) // count : (at + 1) * len(text) // count] for at in range(count))


def stopped_pieces(pieces: tuple[str, ...], stops: list[str]) -> tuple[tuple[str, ...], str | None]:
    """Cut the pieces before the first stop sequence; return them and the sequence, None where there was none."""
    text = "".join(pieces)
    ends = [(at, stop) for at, stop in ((text.find(stop), stop) for stop in stops) if at >= 0]
    if not ends:
        return pieces, None
    (left, first), kept = min(ends), []
    for piece in pieces:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    return tuple(kept), first


def _sentences(digest: bytes, count: int) -> list[str]:
    picks = hashlib.shake_128(digest).digest(count)
    pieces, start = [], True
    left = 5 + digest[1] % 8
    for pick in picks:
        word = _WORDS[pick % len(_WORDS)]
        left -= 1
        pieces.append(f" {word.capitalize() if start else word}{'' if left else '.'}")
        start = not left
        left = left or 5 + pick % 8
    return pieces
