"""Loads the encodings from the ranks that are shipped here. Reads two files of this package, and no network, ever.

The definitions are tiktoken's own (tiktoken_ext/openai_public.py, MIT); tiktoken itself would download the ranks.
Loading takes about 0.3 s, 0.1 s of it without letting go of the GIL: better done before requests come.
"""

import hashlib
import io
import lzma
from binascii import a2b_base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.tokens.rules import Encoding

if TYPE_CHECKING:
    import tiktoken

FOLDER = Path(__file__).with_name("data")


class RanksError(Exception):
    """The package is damaged: the text names the file."""


@dataclass(frozen=True, slots=True)
class Definition:
    """How a text is split into words, the tokens that no text contains, and the digest of the ranks, uncompressed."""

    pattern: str
    special: dict[str, int]
    sha256: str


DEFINITIONS: dict[Encoding, Definition] = {
    "cl100k_base": Definition(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": Definition(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}


def load(name: Encoding, folder: Path = FOLDER) -> "tiktoken.Encoding":
    """Reads and checks the ranks. Raises RanksError."""
    import tiktoken  # 4 MB in each worker: not before it is needed

    definition = DEFINITIONS[name]
    ranks = _ranks(folder / f"{name}.tiktoken.xz", definition.sha256)
    encoding = tiktoken.Encoding(
        name, pat_str=definition.pattern, mergeable_ranks=ranks, special_tokens=dict(definition.special)
    )
    ranks.clear()  # the tokenizer has its own by now; these would be 20 MB more for o200k_base
    return encoding


def _ranks(path: Path, sha256: str) -> dict[bytes, int]:
    try:
        data = lzma.decompress(path.read_bytes(), format=lzma.FORMAT_XZ)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise RanksError(f"{path}: cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RanksError(f"{path}: does not hold the ranks that it should: their SHA-256 is not {sha256}")
    ranks = dict[bytes, int]()
    for line in io.BytesIO(data):
        token, _, rank = line.partition(b" ")
        ranks[a2b_base64(token)] = int(rank)
    return ranks
