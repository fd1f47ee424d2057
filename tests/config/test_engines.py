"""Engines are providers too, and their replicas keep their places."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.cluster_names import cluster_of
from headgate.config.check import Checked, check
from headgate.config.engine_places import FIRST_PORT, LAST_PORT, Place, given_places
from headgate.config.engine_providers import with_engines
from headgate.config.engines import Engine
from headgate.config.gpus_here import gpus_here
from headgate.config.model import Gateway

Checking = Callable[[str], Checked]

FILE = """
engines:
  llama:
    kind: simulator
    replicas: 3
    max_running: 8
  cluster: {kind: vllm, endpoints: ["http://10.0.0.5:8000"], api_key: env:OPENAI_API_KEY, zone: eu, served_name: big}
models:
  chat: {targets: [{provider: llama, model: llama}, {provider: cluster, model: big}]}
"""


def gateway_of(checked: Checked) -> Gateway:
    assert checked.gateway, checked.problems
    return checked.gateway


def simulators(**replicas: int) -> dict[str, Engine]:
    return {name: Engine.model_validate({"kind": "simulator", "replicas": count}) for name, count in replicas.items()}


def vllm(gpus: int, replicas: int = 1) -> Engine:
    return Engine.model_validate({"kind": "vllm", "model": "m", "gpus": gpus, "replicas": replicas})


def test_an_engine_is_a_provider(check_text: Checking) -> None:
    gateway = gateway_of(check_text(FILE))
    managed, external = gateway.providers["llama"], gateway.providers["cluster"]
    assert [url.host for url in managed.endpoints] == ["127.0.0.1"] * 3
    assert len({url.port for url in managed.endpoints}) == 3
    assert (managed.api, managed.preset, managed.usage, managed.zone) == ("openai", "vllm", "continuous", "internal")
    assert (managed.health_check, managed.api_key is not None) == ("/health", True)
    assert (external.zone, [str(url) for url in external.endpoints]) == ("eu", ["http://10.0.0.5:8000"])


def test_an_edit_of_how_replicas_run_needs_no_other_cluster(check_text: Checking) -> None:
    before = gateway_of(check_text(FILE)).providers["llama"]
    edited = FILE.replace("max_running: 8", "max_running: 9\n    args: {ttft: 1s}\n    drain_timeout: 5s")
    assert cluster_of("llama", gateway_of(check_text(edited)).providers["llama"]) == cluster_of("llama", before)
    more = gateway_of(check_text(FILE.replace("replicas: 3", "replicas: 4"))).providers["llama"]
    assert more.endpoints[:3] == before.endpoints
    assert cluster_of("llama", more) != cluster_of("llama", before)


def test_flags_as_they_are_written(check_text: Checking) -> None:
    text = (
        "{max-model-len: 8192, gpu-memory-utilization: 0.90, enforce-eager: true, cuda-graph: false, "
        "middleware: [a, b], compilation-config: {level: 3, x: [0.5]}}"
    )
    engine = gateway_of(check_text(FILE.replace("max_running: 8", f"args: {text}"))).engines["llama"]
    assert engine.args == {
        "max-model-len": "8192",
        "gpu-memory-utilization": "0.90",
        "enforce-eager": True,
        "cuda-graph": False,
        "middleware": ("a", "b"),
        "compilation-config": '{"level": 3, "x": [0.5]}',
    }


def test_places_last() -> None:
    first = given_places(simulators(a=2, b=1))
    ports = [place.port for places in first.values() for place in places]
    assert len(set(ports)) == 3
    assert all(FIRST_PORT <= port <= LAST_PORT for port in ports)
    assert given_places(simulators(z=1, b=1, a=3), first)["a"][:2] == first["a"]
    assert given_places(simulators(b=1), first)["b"] == first["b"]


def test_a_port_that_somebody_has_is_given_up() -> None:
    before = given_places(simulators(a=2))
    taken = before["a"][0].port
    after = given_places(simulators(a=2), before, lambda port: port != taken)
    assert after["a"][0].port != taken
    assert after["a"][1] == before["a"][1]


def test_ports_of_two_gateways_differ() -> None:
    assert given_places(simulators(a=1), home="/one") != given_places(simulators(a=1), home="/two")


def test_gpus_stay_with_their_replicas() -> None:
    first = given_places({"a": vllm(2, replicas=2), "b": vllm(1), "cpu": vllm(0)})
    assert [place.gpus for place in first["a"]] == [(0, 1), (2, 3)]
    assert [first["b"][0].gpus, first["cpu"][0].gpus] == [(4,), ()]
    after = given_places({"new": vllm(2), "b": vllm(1)}, first)
    assert [after["b"][0].gpus, after["new"][0].gpus] == [(4,), (0, 1)]
    assert given_places({"a": vllm(1, replicas=1)}, first)["a"][0].gpus == (0,)


def test_who_gets_more_gpus_gets_none_of_those_that_go_on() -> None:
    first = given_places({"a": vllm(1, replicas=2), "b": vllm(2)})
    after = given_places({"new": vllm(1), "a": vllm(2, replicas=2), "b": vllm(1)}, first)
    assert [place.gpus for place in after["a"]] == [(0, 4), (1, 5)]
    assert [after["b"][0].gpus, after["new"][0].gpus] == [(2,), (3,)], "the new one waits until b has given it up"


def test_a_gateway_takes_the_places_of_its_replicas(check_text: Checking) -> None:
    gateway = with_engines(gateway_of(check_text(FILE)), {"llama": [Place(20001), Place(20002), Place(20003)]})
    assert [url.port for url in gateway.providers["llama"].endpoints] == [20001, 20002, 20003]


def test_engines_alone_are_enough(check_text: Checking, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    text = "engines: {m: {kind: vllm, model: .}}\nmodels: {m: {targets: [{provider: m, model: m}]}}\n"
    gateway = gateway_of(check_text(text))
    assert gateway.engines["m"].paths_from(tmp_path).model == tmp_path


MODEL = "models: {m: {targets: [{provider: a, model: m}]}}\n"
TWO = (
    "engines:\n  a: {kind: vllm, model: here, served_name: m, replicas: 2}\n  b: {kind: vllm, model: here, gpus: 2}\n"
)


@pytest.mark.parametrize(
    ("visible", "warned"),
    [
        ("0,1,2,3", []),
        ("0,1,2", ["3: engines.b.gpus: needs 2 (2 for each replica), all engines together 4, and {} names 3"]),
        (
            "GPU-1",
            [
                "2: engines.a.gpus: needs 2 (1 for each replica), all engines together 4, and {} names 1",
                "3: engines.b.gpus: needs 2 (2 for each replica), all engines together 4, and {} names 1",
            ],
        ),
    ],
)
def test_gpus_that_are_not_there(folders: Path, visible: str, warned: list[str]) -> None:
    expected = [f"gateway.yaml:{text.format('CUDA_VISIBLE_DEVICES')}" for text in warned]
    assert warnings(folders, TWO + MODEL, visible) == expected


def test_what_an_engine_may_not_mean(folders: Path) -> None:
    text = """engines:
  a: {kind: vllm, model: here, served_name: m, gpus: 0}
  copy: {kind: vllm, model: here, served_name: m, gpus: 0}
  m: {kind: vllm, model: there, gpus: 0}
  toy: {kind: simulator, gpus: 1}
  far: {kind: vllm, endpoints: ["http://h:1"]}
  again: {kind: vllm, endpoints: ["http://g:1", "http://h:1"]}
"""
    alike = (
        'engines.m.served_name: "m" is what engine "a" calls "here": adapters of the one are taken to fit the other'
    )
    assert [line.partition(": ")[2] for line in warnings(folders, text + MODEL, "0")] == [
        f"{alike}, so give each model a name of its own",
        "engines.toy.gpus: has no effect: a simulator uses none",
        'engines.again.endpoints[1]: is a replica of engine "far", too: what it has room for is counted twice',
    ]


def test_what_a_machine_says_of_its_gpus(tmp_path: Path) -> None:
    assert gpus_here({}, tmp_path).words == (
        "this machine has none: no driver of NVIDIA's is there (/proc/driver/nvidia)"
    )
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    assert gpus_here({}, tmp_path).count is None
    for number in range(4):
        (tmp_path / f"proc/driver/nvidia/gpus/0000:0{number}:00.0").mkdir(parents=True)
    assert gpus_here({}, tmp_path).count == 4
    for node in ("nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / node).touch()
    assert gpus_here({}, tmp_path).count == 1, "a container has one of them"
    assert gpus_here({"CUDA_VISIBLE_DEVICES": "MIG-a, MIG-b"}, tmp_path).count == 2


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    return Path("gateway.yaml")


def warnings(file: Path, text: str, visible: str) -> list[str]:
    checked = check(file, {"CUDA_VISIBLE_DEVICES": visible}, text.encode())
    assert checked.problems == []
    return [str(warning) for warning in checked.warnings]
