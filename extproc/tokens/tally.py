"""What a prompt is made of, in the order in which it is found: texts to count, and tokens that are known at once."""

import json
from dataclasses import dataclass
from typing import Any

from extproc.tokens.rules import Rule

LONGEST_TOKEN = 128  # bytes: runs of spaces, in both encodings
_JOINED_OVER = 2_000  # texts; more are counted as one, with a line break between them

# With spaces after commas and colons, as chat templates write it.
_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False)


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens: of the whole prompt, and of its longest part where parts go to the model one by one."""

    total: int
    longest: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """Texts for the rule's encoding, and the tokens beside them. `apart`: each text is a prompt of its own."""

    rule: Rule
    texts: tuple[str, ...]
    fixed: int = 0
    apart: bool = False
    longest_ids: int = 0  # among prompts that came as tokens

    @property
    def chars(self) -> int:
        """How much there is to count."""
        return sum(map(len, self.texts))

    def size(self, counts: list[int]) -> Size:
        """What comes of each text's number of tokens in the rule's encoding."""
        total = self.fixed + _scaled(sum(counts), self.rule)
        if not self.apart:
            return Size(total, total)
        return Size(total, max(_scaled(max(counts, default=0), self.rule), self.longest_ids))

    @property
    def at_most(self) -> Size:
        """A bound without counting: no token is shorter than a byte."""
        return self.size([_size_bytes(text) for text in self.texts])

    @property
    def at_least(self) -> Size:
        """A bound without counting: no token is longer than LONGEST_TOKEN bytes."""
        return self.size([-(-_size_bytes(text) // LONGEST_TOKEN) for text in self.texts])

    @property
    def guess(self) -> Size:
        """For want of a count: English has about four bytes to a token."""
        return self.size([-(-_size_bytes(text) // 4) for text in self.texts])


class Tally:
    """Collects a prompt. Takes any parsed JSON: what is not of the API's form is counted as the JSON that it is."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._texts: list[str] = []
        self._fixed = 0

    def add(self, tokens: int) -> None:
        """Tokens of the model."""
        self._fixed += tokens

    def plain(self, message: Any, roles: frozenset[str]) -> bool:
        """Adds a message that is no more than a role and a text; False for others. A body may have thousands."""
        if type(message) is not dict:
            return False
        content, role = message.get("content"), message.get("role")
        if type(role) is not str or role not in roles:
            return False
        if type(content) is str and len(message) == 2:
            self._texts.append(content)
        elif len(message) > 1:
            return False
        self._fixed += self.rule.per_message + 1
        return True

    def text(self, value: Any) -> None:
        """A string, or JSON for whatever else it is; null is nothing."""
        if value is None or value == "":
            return
        self._texts.append(value if isinstance(value, str) else written(value))

    def prompt(self) -> Prompt:
        """What was collected."""
        texts = self._texts if len(self._texts) <= _JOINED_OVER else ["\n".join(self._texts)]
        return Prompt(self.rule, tuple(texts), self._fixed)


def written(value: Any) -> str:
    """The value as JSON."""
    try:
        return _encoder.encode(value)
    except RecursionError:  # it was read from a flatter stack than this one
        return " ".join(_scalars(value))


def _scalars(value: Any) -> list[str]:
    found, left = list[str](), [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item
            found.append("[")
        else:
            found.append(str(item))
    return found


def _scaled(tokens: int, rule: Rule) -> int:
    return -(-tokens * rule.percent // 100)


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
