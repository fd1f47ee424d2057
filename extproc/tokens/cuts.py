"""Long texts in pieces, so that no single call of the tokenizer is long. Pure.

A piece ends where both encodings' patterns end a word, so the pieces have together exactly the tokens of the whole.
Where there is no such place in reach (4,000 letters without a space), the cut may add a token or two.
"""

import re
from collections.abc import Iterator

PIECE = 8_192  # characters: about 0.5 ms; the list of token numbers that comes back is made with the GIL held

# The last place in reach; what is greedy finds it from the end.
_PLACE = re.compile(
    r"(?s:.*)(?:"
    r"\S(?= )"  # a space begins a word, or a run of spaces
    r"|\n(?=[^\W_])"  # no word has a line break before a letter or digit
    # A mark after a letter or digit, in ASCII or Chinese; no apostrophe, which don't has inside.
    r"|[^\W_](?=[-+/=,.;:!?|(){}\[\]<>\"\uff0c\u3002\u3001\uff1b\uff1a\uff01\uff1f\u300c\u300d])"
    r")"
)


def pieces(text: str, limit: int = PIECE) -> Iterator[str]:
    """The text in pieces of at most `limit` characters."""
    at, end = 0, len(text)
    while end - at > limit:
        found = _PLACE.match(text, at + limit // 2, at + limit)
        cut = found.end() if found else at + limit
        yield text[at:cut]
        at = cut
    yield text[at:]
