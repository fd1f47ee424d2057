"""What is taken from the metrics of vLLM 0.32, as a real one wrote them, and from what no engine should write."""

from pathlib import Path

import pytest

from engines.watch.exposition import COUNTERS, KV_USED, LORA, RUNNING, STARTED, WAITING, measured

TEXT = (Path(__file__).parent / "vllm_texts" / "metrics.txt").read_text()
BUCKET = '_bucket{engine="0",le="0.25",model_name="tiny"} 9.0'
LABELS = '{engine="0",model_name="tiny"}'


def test_of_a_real_engine_under_load() -> None:
    found = measured(TEXT)
    assert (found.running, found.waiting, found.junk) == (8, 4, 0)
    assert found.kv_used == pytest.approx(0.000977, rel=0.01)
    assert found.started == 1795353915.44
    assert found.counters == {
        "vllm:prompt_tokens_total": 57,
        "vllm:generation_tokens_total": 984,
        "vllm:prefix_cache_queries_total": 57,
        "vllm:prefix_cache_hits_total": 0,
        "vllm:num_preemptions_total": 0,
    }
    assert found.counters.keys() == set(COUNTERS)
    assert found.first_token
    assert (found.first_token.count, round(found.first_token.sum_s, 3)) == (9, 0.858)
    assert dict(found.first_token.buckets)[0.25] == 9
    # vLLM keeps a line for each set of adapters that there was: the newest one counts.
    assert found.running_adapters == {"acme/support-bot@3-0a1b2c3d", "acme/sales-bot@1-99887766"}


def test_several_engines_behind_one_address_count_together() -> None:
    second = "".join(
        line.replace('engine="0"', 'engine="1"') + "\n"
        for line in TEXT.splitlines()
        if line.startswith("vllm:") and not line.startswith(LORA)
    )
    both, one = measured(TEXT + second), measured(TEXT)
    assert (both.running, both.waiting, both.kv_used) == (16, 8, one.kv_used)
    assert both.counters == {name: 2 * value for name, value in one.counters.items()}
    assert both.first_token
    assert one.first_token
    assert (both.first_token.count, both.first_token.sum_s) == (18, 2 * one.first_token.sum_s)
    assert both.first_token.buckets == tuple((bound, 2 * count) for bound, count in one.first_token.buckets)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1e300", "", "many", "0x10"])
def test_a_value_that_can_not_be_is_left_out_and_counted(value: str) -> None:
    found = measured(TEXT.replace(f"{RUNNING}{LABELS} 8.0", f"{RUNNING}{LABELS} {value}"))
    assert (found.running, found.junk) == (None, 1)
    assert (found.waiting, len(found.counters)) == (4, len(COUNTERS))


def test_more_than_all_of_the_cache_can_not_be_taken() -> None:
    found = measured(f"{KV_USED}{LABELS} 1.01\n{WAITING}{LABELS} 2.0\n")
    assert (found.kv_used, found.waiting, found.junk) == (None, 2, 1)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        (
            '_bucket{engine="0",le="0.25",model_name="tiny"} 9.0',
            '_bucket{engine="0",le="0.25",model_name="tiny"} 2.0',
        ),
        (
            '_bucket{engine="0",le="0.25",model_name="tiny"} 9.0',
            '_bucket{engine="0",le="fast",model_name="tiny"} 9.0',
        ),
        ("_count" + LABELS + " 9.0", "_count" + LABELS + " 8.0"),
        ("_sum" + LABELS, "_summe" + LABELS),
    ],
    ids=["falls", "no_bound", "more_than_all", "no_sum"],
)
def test_a_histogram_that_does_not_fit_together_is_left_out(line: str, other: str) -> None:
    before, after = f"vllm:time_to_first_token_seconds{line}", f"vllm:time_to_first_token_seconds{other}"
    assert before in TEXT
    found = measured(TEXT.replace(before, after))
    assert found.first_token is None
    assert found.junk > 20
    assert found.running == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "<html>404</html>",
        "# TYPE vllm:num_requests_running gauge\n",
        "vllm:num_requests_running_by_reason 3\n",
        f"{RUNNING}" + "{" * 9_000 + " 1\n",
        f'{RUNNING}{{engine="0\n',
        f"{STARTED} soon\n{LORA} never\n",
        "\0" * 1000,
    ],
)
def test_what_is_no_metric_says_nothing(text: str) -> None:
    found = measured(text)
    assert (found.running, found.waiting, found.started, found.counters) == (None, None, None, {})


def test_a_broken_line_takes_no_other_with_it() -> None:
    found = measured(TEXT.replace(f"{WAITING}{LABELS} 4.0", f'{WAITING}{{engine="0"'))
    assert (found.running, found.waiting, found.junk) == (8, None, 1)


def test_a_flood_of_lines_is_bounded() -> None:
    found = measured("".join(f'{RUNNING}{{engine="{number}"}} 1.0\n' for number in range(50_000)))
    assert found.running == 2_000
    assert found.junk == 48_000


def test_text_cut_anywhere_never_fails() -> None:
    some = "".join(line + "\n" for line in TEXT.splitlines() if line.startswith((RUNNING, LORA, KV_USED)))
    for length in range(len(some)):
        measured(some[:length])
