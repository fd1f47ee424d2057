"""Whether two files are an adapter that an engine can load, and of which base model. Reads, and changes nothing.

All that is wrong is said at once: which file, what was found there, what is allowed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from headgate.adapters.failures import Unacceptable
from headgate.adapters.finite import not_finite
from headgate.adapters.layout import CONFIG, WEIGHTS
from headgate.adapters.lora_config import LoraConfig, read_config
from headgate.adapters.lora_tensors import last_parts, pairs_of, unfit
from headgate.adapters.model_revision import is_commit
from headgate.adapters.safetensors_header import BadHeader, Header, read_header

MAX_CONFIG_BYTES = 64 * 1024
MOST_BYTES = 2 * 2**30
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What an adapter has to fit. `model` is the name that engines serve it by, `revisions` are the commits that they
    have, as far as is known: one, unless engines differ.

    `names` are further ones that adapter_config.json may call it by; the last part of a path counts.
    """

    model: str
    max_rank: int
    revisions: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files say of the adapter; `target_modules` are the own names of the modules that have weights,
    `revision` is that of the base model that it was trained on.
    """

    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    revision: str | None


def check_adapter(
    weights: Path, config: Path, base: BaseModel, most_bytes: int = MOST_BYTES, trained_on: str | None = None
) -> Facts:
    """`trained_on`: the base model's revision, where another one than the configuration says it.

    Raises Unacceptable with all problems, OSError for a file that cannot be read.
    """
    problems: list[str] = []
    said = _config(config, base, trained_on, problems)
    modules = _weights(weights, said, most_bytes, problems)
    if problems or said is None:
        more = len(problems) - MAX_PROBLEMS
        raise Unacceptable([*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
    return Facts(said.rank, said.alpha, modules, trained_on or said.revision)


def _config(path: Path, base: BaseModel, trained_on: str | None, problems: list[str]) -> LoraConfig | None:
    with _opened(path) as file:
        content = file.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        problems.append(f"{CONFIG}: larger than {MAX_CONFIG_BYTES} bytes")
        return None
    said, wrong = read_config(content, base.max_rank)
    if said:
        wrong = [*_of_another_base(said, base), *_of_another_revision(said.revision, trained_on, base)]
    problems += (f"{CONFIG}: {text}" for text in wrong)
    return said


def _weights(path: Path, said: LoraConfig | None, most_bytes: int, problems: list[str]) -> tuple[str, ...]:
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            problems.append(f"{WEIGHTS}: it has {size} bytes, at most {most_bytes} are allowed")
            return ()
        try:
            header = read_header(file, size)
        except BadHeader as error:
            problems.append(f"{WEIGHTS}: {error}")
            return ()
        pairs, wrong = pairs_of(header.tensors)
        if said:
            wrong += unfit(pairs, said.rank, said.target_modules)
        wrong += _not_numbers(file, header)
    problems += (f"{WEIGHTS}: {text}" for text in wrong)
    return last_parts(pairs)


def _of_another_base(said: LoraConfig, base: BaseModel) -> Iterator[str]:
    """peft writes what the model was loaded by: a name of the hub's, or a path of the machine that trained."""
    known = sorted({_last_part(name) for name in (base.model, *base.names)})
    if said.base is None:
        yield f"base_model_name_or_path: missing, expected one that ends in {' or '.join(known)}"
    elif _last_part(said.base) not in known:
        yield (
            f'base_model_name_or_path: found "{said.base[:120]}", '
            f"expected one that ends in {' or '.join(known)}, for {base.model}"
        )


def _of_another_revision(said: str | None, trained_on: str | None, base: BaseModel) -> Iterator[str]:
    """Commits are compared. A branch or a tag is whatever it was that day."""
    if said and trained_on and said != trained_on:
        yield f'revision: found "{said[:80]}", and "{trained_on[:80]}" was given with it'
    found = trained_on or said
    if found and is_commit(found):
        for served in sorted(base.revisions - {found}):
            yield f'revision: found "{found}", engines have "{served}" of {base.model}'


def _last_part(name: str) -> str:
    """In lower case: `meta-llama/Llama-3-8B` and `/srv/models/llama-3-8b/` are one, as is the hub's cache of it."""
    parts = PurePosixPath(name.replace("\\", "/").casefold()).parts
    cached = [part for part in parts if part.startswith("models--")]
    if cached and "snapshots" in parts:
        return cached[-1].rpartition("--")[2]
    return parts[-1] if parts else ""


def _not_numbers(file: BinaryIO, header: Header) -> Iterator[str]:
    name = not_finite(file, header)
    if name is not None:
        yield f"{name[:200]}: a value is NaN or infinite"


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
