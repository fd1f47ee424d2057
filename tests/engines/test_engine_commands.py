"""What the processes of managed engines are started with."""

import re
from pathlib import Path

import msgspec
import pytest

from engines.simulator import command as simulator
from engines.vllm import command as vllm
from headgate.config.engine_flags import KEYS, OWN_FLAGS, OWN_VARIABLES
from headgate.engine_start import EngineStart

START = EngineStart(
    kind="vllm",
    port=20001,
    served_name="llama-3-8b",
    max_running=32,
    max_loras=0,
    max_lora_rank=16,
    gpus=(0,),
    model="/srv/llama",
    python="/opt/vllm/bin/python",
    args={},
    env={},
)


def with_(**changes: object) -> EngineStart:
    return msgspec.structs.replace(START, **changes)


def test_a_replica_without_adapters() -> None:
    assert vllm.command(START) == (
        *("/opt/vllm/bin/python", "-m", "vllm.entrypoints.openai.api_server"),
        *("--host=127.0.0.1", "--port=20001"),
        *("--model=/srv/llama", "--served-model-name=llama-3-8b", "--max-num-seqs=32"),
        "--middleware=headgate_guard.Guard",
    )


def test_adapters_have_flags_and_may_be_loaded_at_run_time() -> None:
    start = with_(max_loras=4, max_lora_rank=64)
    assert vllm.command(start)[-3:] == ("--enable-lora", "--max-loras=4", "--max-lora-rank=64")
    assert vllm.environment(start, {}, "k")["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in vllm.environment(START, {}, "k")


def test_flags_as_the_file_says_them() -> None:
    args: dict[str, bool | str | tuple[str, ...]] = {
        "enforce-eager": True,
        "enable-prefix-caching": False,
        "dtype": "float32",
        "structured-outputs-config": '{"backend": "xgrammar"}',
        "allowed-origins": ("a", "b"),
    }
    assert vllm.command(with_(args=args))[-7:] == (
        *("--enforce-eager", "--no-enable-prefix-caching", "--dtype=float32"),
        '--structured-outputs-config={"backend": "xgrammar"}',
        *("--allowed-origins", "a", "b"),
    )


def test_several_gpus_split_the_model_unless_the_file_says_how() -> None:
    assert "--tensor-parallel-size=2" in vllm.command(with_(gpus=(2, 3)))
    told = vllm.command(with_(gpus=(2, 3), args={"pipeline-parallel-size": "2"}))
    assert [word for word in told if "parallel" in word] == ["--pipeline-parallel-size=2"]


@pytest.mark.parametrize(
    ("gpus", "visible", "told"),
    [
        ((2, 3), None, "2,3"),
        ((), None, ""),
        ((1,), "4,5", "5"),
        ((1,), "GPU-a, GPU-b", "GPU-b"),
        ((), "4", ""),
        ((1, 2), "4,5", "5"),
    ],
)
def test_a_replica_sees_its_gpus_alone(gpus: tuple[int, ...], visible: str | None, told: str) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert vllm.environment(with_(gpus=gpus), environ, "k")["CUDA_VISIBLE_DEVICES"] == told


def test_the_environment_says_nothing_of_ours_and_downloads_nothing() -> None:
    environ = {
        "PATH": "/bin",
        "HEADGATE_X": "1",
        "PROMETHEUS_MULTIPROC_DIR": "/m",
        "PYTHONPATH": "/p",
        "AWS_SECRET_ACCESS_KEY": "s",
        "HF_HUB_OFFLINE": "0",
    }
    told = vllm.environment(with_(env={"VLLM_CPU_KVCACHE_SPACE": "1"}), environ, "secret")
    assert told["VLLM_API_KEY"] == "secret"
    assert told["HF_HUB_OFFLINE"] == "1"
    assert (told["PATH"], told["VLLM_CPU_KVCACHE_SPACE"]) == ("/bin", "1")
    assert not {name for name in told if name.startswith(("AWS_", "HEADGATE_", "PROMETHEUS_"))}
    modules = {file.name for file in Path(told["PYTHONPATH"]).glob("*.py")}
    assert modules == {"__init__.py", "headgate_guard.py"}, "nothing that could stand before a module of vLLM's"


@pytest.mark.parametrize("kind", ["vllm", "simulator"])
def test_whatever_is_set_for_an_engine_cannot_be_said_in_args(kind: str) -> None:
    start = with_(kind=kind, max_loras=2)
    told = vllm.command(start) if kind == "vllm" else simulator.command(start)
    flags = {word[2:].partition("=")[0] for word in told if word.startswith("--")}
    assert flags <= OWN_FLAGS[kind].keys()
    assert vllm.environment(start, {}, "k").keys() == OWN_VARIABLES


def test_the_page_names_the_flags_that_have_keys() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    named = dict(re.findall(r"^\| `--([a-z-]+)`(?:, `--[a-z-]+`)* \| `(\w+)` \|$", page, re.MULTILINE))
    assert named == {flag: key for flag, key in OWN_FLAGS["vllm"].items() if key in KEYS}
