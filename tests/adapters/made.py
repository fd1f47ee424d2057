"""Adapters as peft saves them, made by hand: a header, and little-endian numbers behind it."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.adapters.checks import BaseModel

RANK, HIDDEN = 4, 16
BASE = BaseModel("llama-3-8b", max_rank=16)
PREFIX = "base_model.model.model.layers"


def lora_shapes(
    layers: int = 2, modules: Sequence[str] = ("q_proj", "v_proj"), rank: int = RANK
) -> dict[str, list[int]]:
    shapes = {}
    for layer in range(layers):
        for module in modules:
            name = f"{PREFIX}.{layer}.self_attn.{module}"
            shapes[f"{name}.lora_A.weight"] = [rank, HIDDEN]
            shapes[f"{name}.lora_B.weight"] = [HIDDEN, rank]
    return shapes


def number(value: float, dtype: str) -> bytes:
    if dtype == "BF16":
        return struct.pack("<f", value)[2:]
    return struct.pack("<e" if dtype == "F16" else "<f", value)


def header_of(shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> dict[str, Any]:
    width, at = {"F32": 4}.get(dtype, 2), 0
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, shape in shapes.items():
        size = width
        for length in shape:
            size *= length
        found[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return found


def file_of(header: Mapping[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors(shapes: Mapping[str, Sequence[int]], dtype: str = "F32", value: float = 0.5) -> bytes:
    header = header_of(shapes, dtype)
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    width = {"F32": 4}.get(dtype, 2)
    return file_of(header, number(value, dtype) * (max(ends) // width))


def config_of(**more: Any) -> dict[str, Any]:
    """What peft 0.21 writes for LoRA of q_proj and v_proj."""
    return {
        "alora_invocation_tokens": None,
        "alpha_pattern": {},
        "arrow_config": None,
        "auto_mapping": None,
        "base_model_name_or_path": "meta-llama/Llama-3-8B",
        "bias": "none",
        "corda_config": None,
        "ensure_weight_tying": False,
        "eva_config": None,
        "exclude_modules": None,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "kasa_config": None,
        "layer_replication": None,
        "layers_pattern": None,
        "layers_to_transform": None,
        "loftq_config": {},
        "lora_alpha": 8,
        "lora_bias": False,
        "lora_dropout": 0.05,
        "lora_ga_config": None,
        "megatron_config": None,
        "megatron_core": "megatron.core",
        "modules_to_save": None,
        "monteclora_config": None,
        "peft_type": "LORA",
        "peft_version": "0.21.2",
        "qalora_group_size": 16,
        "r": RANK,
        "rank_pattern": {},
        "revision": None,
        "target_modules": ["v_proj", "q_proj"],
        "target_parameters": None,
        "task_type": "CAUSAL_LM",
        "trainable_token_indices": None,
        "use_bdlora": None,
        "use_dora": False,
        "use_qalora": False,
        "use_rslora": False,
        "velora_config": None,
        **more,
    }


@dataclass(frozen=True)
class Files:
    """An adapter on disk."""

    weights: Path
    config: Path


def files(folder: Path, weights: bytes | None = None, config: bytes | None = None, **more: Any) -> Files:
    folder.mkdir(exist_ok=True)
    made = Files(folder / "weights", folder / "config")
    made.weights.write_bytes(safetensors(lora_shapes()) if weights is None else weights)
    made.config.write_bytes(json.dumps(config_of(**more), indent=2).encode() if config is None else config)
    return made
