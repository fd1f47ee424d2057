"""adapter_config.json as peft writes it, and what of it an engine can load. Pure.

Keys that say nothing of the weights are let pass, known or not. A key that makes another kind of adapter out of the
weights is a problem unless it is off: vLLM does not look at most of these, and would answer wrongly without a word.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_KEYS = 256
MAX_RANK = 4096
_METHODS_OF_ANOTHER_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")

# Off is what is false, empty or not given. Why not: for people who trained with it.
_MUST_BE_OFF: Mapping[str, str] = {
    "modules_to_save": "engines take LoRA weights alone, and no whole layers: train without modules_to_save",
    "trainable_token_indices": "engines take no new or changed token embeddings",
    "rank_pattern": "engines take one rank for all modules",
    "alpha_pattern": "engines take one alpha for all modules",
    "layer_replication": "engines load no model with repeated layers",
    "target_parameters": "engines take LoRA of modules, not of single parameters",
    "lora_bias": "engines take no bias in LoRA",
    "alora_invocation_tokens": "engines apply LoRA to the whole prompt",
    "vllm_lora_scaling_factor": "it is vLLM's own",
    "vllm_long_context_scaling_factor": "it is vLLM's own",
}
_USE_THAT_WORKS = {"use_rslora"}
_CONFIGS_THAT_WORK = {"eva_config", "megatron_config"}  # how training began, and where


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """What counts of it; `target_modules` is None where it is a pattern, `base` what peft calls the base model."""

    rank: int
    alpha: float
    target_modules: tuple[str, ...] | None
    base: str | None
    revision: str | None


def read_config(content: bytes, max_rank: int) -> tuple[LoraConfig | None, list[str]]:
    """The configuration as far as it is one, and all that is wrong with it."""
    try:
        said = json.loads(content.decode(), object_pairs_hook=_without_repeats)
    except RecursionError:
        return None, ["nested too deep"]
    except ValueError as error:
        return None, [f"not JSON: {str(error)[:200]}"]
    if not isinstance(said, dict):
        return None, ["expected a JSON object"]
    if len(said) > MAX_KEYS:
        return None, [f"it has {len(said)} keys, at most {MAX_KEYS} are allowed"]
    problems = [*_other_kinds(said), *_numbers(said, max_rank), *_texts(said)]
    modules, wrong = _modules(said.get("target_modules"))
    problems += wrong
    if problems:
        return None, problems
    return LoraConfig(said["r"], float(said["lora_alpha"]), modules, *_names(said)), []


def _other_kinds(said: Mapping[str, Any]) -> Iterator[str]:
    kind = said.get("peft_type")
    if kind != "LORA":
        yield f'peft_type: expected "LORA", found {_shown(kind)}'
    if said.get("bias", "none") != "none":
        yield f'bias: expected "none", found {_shown(said["bias"])}: engines take no trained bias'
    for key, why in _MUST_BE_OFF.items():
        if said.get(key):
            yield f"{key}: {why}"
    for key in sorted(said):
        if key.startswith("use_") and key not in _USE_THAT_WORKS and said[key]:
            yield f"{key[:40]}: expected false: engines load plain and rank-stabilized LoRA alone"
        if key.endswith("_config") and key not in _CONFIGS_THAT_WORK and said[key]:
            yield f"{key[:40]}: expected none: engines load plain and rank-stabilized LoRA alone"
    start = said.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_METHODS_OF_ANOTHER_BASE):
        yield f"init_lora_weights: {_shown(start)} changes the base model: convert the adapter when it is saved"


def _numbers(said: Mapping[str, Any], max_rank: int) -> Iterator[str]:
    rank, alpha = said.get("r"), said.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= MAX_RANK:
        yield f"r: expected a whole number of at least 1, found {_shown(rank)}"
    elif rank > max_rank:
        yield f"r: the rank is {rank}, the engine's max_lora_rank is {max_rank}"
    if (
        not isinstance(alpha, int | float)
        or isinstance(alpha, bool)
        or not (0 < alpha < 1e6 and math.isfinite(alpha))
    ):
        yield f"lora_alpha: expected a number above 0, found {_shown(alpha)}"


def _texts(said: Mapping[str, Any]) -> Iterator[str]:
    for key in ("base_model_name_or_path", "revision"):
        value = said.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > 1024 or not value.isprintable()):
            yield f"{key}: expected text, found {_shown(value)}"


def _modules(said: Any) -> tuple[tuple[str, ...] | None, list[str]]:
    if isinstance(said, str) and said:
        return None, []
    if isinstance(said, list) and said and all(isinstance(name, str) and 0 < len(name) <= 256 for name in said):
        return tuple(said), []
    return None, [f"target_modules: expected the names of modules, found {_shown(said)}"]


def _names(said: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return said.get("base_model_name_or_path") or None, said.get("revision") or None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _shown(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, str | int | float | bool) else type(value).__name__
    return text if len(text) <= 80 else f"{text[:80]}…"
