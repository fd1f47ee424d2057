"""Whether the tensors of a file are LoRA pairs of one rank. Pure.

Each module has A of [rank, in] and B of [out, rank]; their names are those that peft gives them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from headgate.adapters.safetensors_header import Tensor

_PART = "[A-Za-z0-9_]+"
_PAIR = re.compile(rf"base_model\.model\.({_PART}(?:\.{_PART})*)\.lora_([AB])\.weight")
_MAX_NAME_CHARS = 256
_OTHERS = (  # what else peft may save, by how the name ends or what is in it
    (".lora_embedding_", "LoRA of embeddings, which engines do not take"),
    (".lora_magnitude_vector", "of DoRA, which engines do not take"),
    (".modules_to_save.", "a whole layer (modules_to_save), which engines do not take"),
    (".bias", "a bias, which engines do not take"),
    ("lm_head", "a whole layer, which engines do not take"),
    ("embed_tokens", "a whole embedding, which engines do not take"),
)


def pairs_of(tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Sequence[int]]], list[str]]:
    """The shapes of A and B by the module's path, and what is no such tensor."""
    found: dict[str, dict[str, Sequence[int]]] = {}
    problems = []
    for name, tensor in tensors.items():
        match = _PAIR.fullmatch(name) if len(name) <= _MAX_NAME_CHARS else None
        if match is None:
            problems.append(f"{_shown(name)}: {_what(name)}")
        else:
            found.setdefault(match[1], {})[match[2]] = tensor.shape
    return found, problems


def unfit(
    pairs: Mapping[str, Mapping[str, Sequence[int]]],
    rank: int,
    targets: Sequence[str] | None,
) -> Iterator[str]:
    """What does not fit to the rank and the targets of the configuration."""
    for module, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            yield f"{module}: lora_{'B' if 'A' in pair else 'A'} is missing"
            continue
        yield from (f"{module}: {text}" for part in "AB" if (text := _wrong_shape(part, pair[part], rank)))
        if targets is not None and not any(module == name or module.endswith(f".{name}") for name in targets):
            yield f"{module}: not among the target_modules of adapter_config.json"


def last_parts(modules: Iterator[str] | Mapping[str, object]) -> tuple[str, ...]:
    """The modules' own names, each once: q_proj, v_proj."""
    return tuple(sorted({module.rpartition(".")[2] for module in modules}))


def _wrong_shape(part: str, shape: Sequence[int], rank: int) -> str | None:
    wanted = f"[{rank}, in]" if part == "A" else f"[out, {rank}]"
    own = len(shape) == 2 and shape[0 if part == "A" else 1]
    if own != rank or min(shape) < 1:
        return f"lora_{part} has shape {list(shape)}, expected {wanted}"
    return None


def _what(name: str) -> str:
    for part, what in _OTHERS:
        if part in name:
            return what
    return "not a tensor of LoRA: expected base_model.model.….lora_A.weight and ….lora_B.weight"


def _shown(name: str) -> str:
    text = re.sub(r"[^ -~]", "?", name)
    return text if len(text) <= 120 else f"{text[:120]}…"
