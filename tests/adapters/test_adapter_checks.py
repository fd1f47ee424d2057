"""What an adapter has to be: each thing that peft or a person may get wrong is named, with what is allowed."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.adapters.checks import MAX_PROBLEMS, BaseModel, Facts, check_adapter
from headgate.adapters.failures import Unacceptable
from headgate.adapters.model_revision import revision_of
from tests.adapters import made

NAME = "model.layers.0.self_attn.q_proj"


def check(folder: Path, files: made.Files, base: BaseModel = made.BASE, most_bytes: int = 2**20) -> Facts:
    return check_adapter(files.weights, files.config, base, most_bytes)


def problems(
    folder: Path, weights: bytes | None = None, config: bytes | None = None, base: BaseModel = made.BASE, **more: Any
) -> list[str]:
    with pytest.raises(Unacceptable) as caught:
        check(folder, made.files(folder / "given", weights, config, **more), base)
    return list(caught.value.problems)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_what_peft_saves_is_an_adapter(tmp_path: Path, dtype: str) -> None:
    files = made.files(tmp_path / "given", made.safetensors(made.lora_shapes(), dtype))
    assert check(tmp_path, files) == Facts(4, 8.0, ("q_proj", "v_proj"), None)


@pytest.mark.parametrize(
    "more",
    [
        {"target_modules": "all-linear"},
        {"target_modules": "model.*(q|v)_proj"},
        {"target_modules": ["self_attn.q_proj", "v_proj", "lm_head"]},
        {"use_rslora": True},
        {"eva_config": {"rho": 2.0}, "megatron_config": {"a": 1}},
        {"lora_alpha": 0.5},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": False},
        {"some_key_of_a_later_peft": {"a": [1, 2]}},
        {"task_type": None},
    ],
)
def test_what_says_nothing_of_the_weights_passes(tmp_path: Path, more: dict[str, Any]) -> None:
    check(tmp_path, made.files(tmp_path / "given", **more))


@pytest.mark.parametrize(
    "base",
    [
        *("meta-llama/Llama-3-8B", "llama-3-8b", "/srv/models/llama-3-8b", "/srv/models/Llama-3-8B/", "./llama-3-8b"),
        *("C:\\models\\llama-3-8b", "/srv/hub/models--meta-llama--Llama-3-8B/snapshots/0f1e"),
    ],
)
def test_a_base_model_is_known_by_the_last_part_of_its_name(tmp_path: Path, base: str) -> None:
    check(tmp_path, made.files(tmp_path / "given", base_model_name_or_path=base))


def test_a_base_model_may_have_further_names(tmp_path: Path) -> None:
    base = replace(made.BASE, model="chat-base", names=frozenset({"meta-llama/Llama-3-8B"}))
    assert check(tmp_path, made.files(tmp_path / "given"), base).rank == 4


@pytest.mark.parametrize("name", ["mistral-7b", "llama-3-8b-instruct", "/", "..", "/srv/llama-3-8b/checkpoint-10"])
def test_another_base_model_is_refused(tmp_path: Path, name: str) -> None:
    (problem,) = problems(tmp_path, base_model_name_or_path=name)
    assert problem == (
        f'adapter_config.json: base_model_name_or_path: found "{name}", '
        "expected one that ends in llama-3-8b, for llama-3-8b"
    )


@pytest.mark.parametrize("name", [None, ""])
def test_no_base_model_is_refused(tmp_path: Path, name: str | None) -> None:
    (problem,) = problems(tmp_path, base_model_name_or_path=name)
    assert "base_model_name_or_path: missing" in problem


ONE, OTHER = "1" * 40, "2" * 40


@pytest.mark.parametrize("place", [f"models--meta-llama--Llama-3-8B/snapshots/{ONE}", "llama-3-8b"])
def test_another_commit_of_the_base_model_is_refused_where_its_folder_says_one(tmp_path: Path, place: str) -> None:
    model = tmp_path / place
    notes = model / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    if "snapshots" not in place:
        (notes / "config.json.metadata").write_text(f"{ONE}\netag\n1760000000.0\n")
    assert revision_of(model) == ONE
    base = replace(made.BASE, revisions=frozenset({ONE}))
    for said in (ONE, None, "main"):  # what a branch was when it was trained on, nobody knows
        assert check(tmp_path, made.files(tmp_path / "given", revision=said), base).revision == said
    (problem,) = problems(tmp_path, base=base, revision=OTHER)
    assert problem == f'adapter_config.json: revision: found "{OTHER}", engines have "{ONE}" of llama-3-8b'


def test_a_folder_that_says_no_commit_or_two_is_compared_with_none(tmp_path: Path) -> None:
    assert revision_of(tmp_path) is None
    notes = tmp_path / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    for commit in (ONE, OTHER):
        (notes / f"{commit[0]}.metadata").write_text(f"{commit}\netag\n")
    assert revision_of(tmp_path) is None
    assert check(tmp_path, made.files(tmp_path / "given", revision=OTHER)).revision == OTHER


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"peft_type": "IA3"}, 'peft_type: expected "LORA", found "IA3"'),
        ({"peft_type": None}, 'peft_type: expected "LORA", found null'),
        ({"bias": "all"}, 'bias: expected "none", found "all"'),
        ({"use_dora": True}, "use_dora: expected false"),
        ({"use_qalora": True}, "use_qalora: expected false"),
        ({"kasa_config": {"beta": 1}}, "kasa_config: expected none"),
        ({"arrow_config": {"top_k": 2}}, "arrow_config: expected none"),
        ({"init_lora_weights": "lora_ga"}, 'init_lora_weights: "lora_ga" changes the base model'),
        ({"use_what_comes_next": 1}, "use_what_comes_next: expected false"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save: engines take LoRA weights alone"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices: "),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern: engines take one rank"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern: engines take one alpha"),
        ({"layer_replication": [[0, 2]]}, "layer_replication: "),
        ({"target_parameters": ["experts.w"]}, "target_parameters: "),
        ({"lora_bias": True}, "lora_bias: "),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens: "),
        ({"vllm_lora_scaling_factor": 9.0}, "vllm_lora_scaling_factor: "),
        ({"init_lora_weights": "pissa_niter_4"}, 'init_lora_weights: "pissa_niter_4" changes the base model'),
        ({"r": 32}, "r: the rank is 32, the engine's max_lora_rank is 16"),
        ({"r": 0}, "r: expected a whole number of at least 1, found 0"),
        ({"r": "4"}, 'r: expected a whole number of at least 1, found "4"'),
        ({"r": True}, "r: expected a whole number of at least 1, found true"),
        ({"r": None}, "r: expected a whole number of at least 1, found null"),
        ({"lora_alpha": 0}, "lora_alpha: expected a number above 0, found 0"),
        ({"lora_alpha": float("nan")}, "lora_alpha: expected a number above 0, found NaN"),
        ({"lora_alpha": 10**400}, "lora_alpha: expected a number above 0"),
        ({"target_modules": []}, "target_modules: expected the names of modules"),
        ({"target_modules": [1]}, "target_modules: expected the names of modules"),
        ({"target_modules": None}, "target_modules: expected the names of modules"),
        ({"base_model_name_or_path": ["llama-3-8b"]}, "base_model_name_or_path: expected text, found list"),
        ({"base_model_name_or_path": "llama\n"}, "base_model_name_or_path: expected text"),
    ],
)
def test_a_configuration_that_engines_do_not_take_is_named(tmp_path: Path, more: dict[str, Any], text: str) -> None:
    (problem,) = problems(tmp_path, **more)
    assert problem.startswith(f"adapter_config.json: {text}")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not JSON"),
        (b"\x80\x04\x95", "not JSON"),
        (b"[]", "expected a JSON object"),
        (b"[" * 60_000, "nested too deep"),
        (b'{"r": 4, "r": 8}', "not JSON: a key is there twice"),
        (b'{"r": ' + b"9" * 5000 + b"}", "not JSON"),
        (b" " * 65_537, "larger than 65536 bytes"),
        (json.dumps(dict.fromkeys(map(str, range(257)))).encode(), "it has 257 keys, at most 256 are allowed"),
    ],
)
def test_what_is_no_configuration_is_named(tmp_path: Path, content: bytes, text: str) -> None:
    assert any(f"adapter_config.json: {text}" in problem for problem in problems(tmp_path, config=content))


def shapes(**changed: list[int] | None) -> bytes:
    """Those of two layers; `layer0_A=[…]` changes one, None leaves it out."""
    found: dict[str, list[int] | None] = dict(made.lora_shapes())
    for part, shape in changed.items():
        found[f"base_model.model.{NAME}.lora_{part}.weight"] = shape
    return made.safetensors({name: shape for name, shape in found.items() if shape is not None})


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (lambda: shapes(A=None), f"{NAME}: lora_A is missing"),
        (lambda: shapes(B=None), f"{NAME}: lora_B is missing"),
        (lambda: shapes(A=[8, 16]), f"{NAME}: lora_A has shape [8, 16], expected [4, in]"),
        (lambda: shapes(A=[16, 4]), f"{NAME}: lora_A has shape [16, 4], expected [4, in]"),
        (lambda: shapes(B=[16, 8]), f"{NAME}: lora_B has shape [16, 8], expected [out, 4]"),
        (lambda: shapes(B=[64]), f"{NAME}: lora_B has shape [64], expected [out, 4]"),
        (lambda: shapes(B=[0, 4]), f"{NAME}: lora_B has shape [0, 4], expected [out, 4]"),
        (lambda: shapes(A=[]), f"{NAME}: lora_A has shape [], expected [4, in]"),
    ],
)
def test_pairs_that_do_not_fit_are_named(tmp_path: Path, weights: Callable[[], bytes], text: str) -> None:
    assert problems(tmp_path, weights()) == [f"adapter.safetensors: {text}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("base_model.model.model.embed_tokens.lora_embedding_A", "LoRA of embeddings"),
        (f"base_model.model.{NAME}.lora_magnitude_vector", "of DoRA"),
        (f"base_model.model.{NAME}.lora_B.bias", "a bias"),
        ("base_model.model.lm_head.weight", "a whole layer"),
        ("base_model.model.model.embed_tokens.weight", "a whole embedding"),
        ("base_model.model.score.modules_to_save.weight", "a whole layer (modules_to_save)"),
        (f"{NAME}.lora_A.weight", "not a tensor of LoRA"),
        ("base_model.model...lora_A.weight", "not a tensor of LoRA"),
        ("base_model.model.../../etc.lora_A.weight", "not a tensor of LoRA"),
        ("x" * 1000, "not a tensor of LoRA"),
        ("\x1b[2J\n", "not a tensor of LoRA"),
    ],
)
def test_other_tensors_are_named(tmp_path: Path, name: str, text: str) -> None:
    (problem,) = problems(tmp_path, made.safetensors({**made.lora_shapes(), name: [4, 16]}))
    assert text in problem
    assert len(problem) < 300
    assert problem.isprintable()


def test_modules_that_the_configuration_does_not_name_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, target_modules=["q_proj", "proj"])
    assert found == [
        f"adapter.safetensors: model.layers.{layer}.self_attn.v_proj: "
        "not among the target_modules of adapter_config.json"
        for layer in (0, 1)
    ]


def test_all_is_said_at_once_and_not_without_end(tmp_path: Path) -> None:
    found = problems(tmp_path, made.safetensors({"a": [1], "b": [1]}), bias="all", use_dora=True, r=99)
    assert len(found) == 5
    many = problems(tmp_path, made.safetensors({f"tensor{number}": [1] for number in range(100)}))
    assert len(many) == MAX_PROBLEMS + 1
    assert many[-1] == "and 80 more"


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02}q\x00", b"\x80\x04\x95"])
def test_a_pickle_is_told_by_its_content(tmp_path: Path, start: bytes) -> None:
    (problem,) = problems(tmp_path, start + b"." * 1000)
    assert "looks like a pickle" in problem


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    files = made.files(tmp_path / "given")
    with pytest.raises(Unacceptable, match=r"adapter.safetensors: it has \d+ bytes, at most 100 are allowed"):
        check(tmp_path, files, most_bytes=100)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    files = made.files(tmp_path / "given")
    link = tmp_path / "link"
    link.symlink_to(files.weights)
    with pytest.raises(OSError, match="symbolic link"):
        check_adapter(link, files.config, made.BASE)


SPOILED = {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": float("-inf")}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", list(SPOILED))
@pytest.mark.parametrize("at", [0, 17, -1])
def test_one_value_that_is_no_number_is_found(tmp_path: Path, dtype: str, kind: str, at: int) -> None:
    weights = made.safetensors(made.lora_shapes(), dtype, value=-1.5)
    spoiled, width = made.number(SPOILED[kind], dtype), 4 if dtype == "F32" else 2
    last = len(weights) - width
    place = last if at < 0 else struct.unpack("<Q", weights[:8])[0] + 8 + at * width
    (problem,) = problems(tmp_path, weights[:place] + spoiled + weights[place + width :])
    assert problem.endswith("a value is NaN or infinite")


@pytest.mark.parametrize(("dtype", "most"), [("F32", 3.4028234663852886e38), ("F16", 65504.0), ("BF16", 3.3895e38)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_are_numbers(tmp_path: Path, dtype: str, most: float, sign: int) -> None:
    for value in (most * sign, 1e-40, 0.0):
        check(tmp_path, made.files(tmp_path / "given", made.safetensors(made.lora_shapes(), dtype, value)))
