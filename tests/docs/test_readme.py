"""The README is held to the truth: its commands exist, its example runs, its links lead somewhere."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.supervise.gateway_process import GatewayProcess

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
async def quickstart(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path / "state")
    await gateway.start()
    yield gateway
    assert gateway.process
    gateway.process.terminate()
    assert await gateway.wait() == 0, gateway.log()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found, f"no {language} block in the README"
    return found[1]


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_python_example_streams_an_answer(quickstart: GatewayProcess) -> None:
    example = block("python")
    assert "http://127.0.0.1:8080/v1" in example
    example = example.replace("http://127.0.0.1:8080/v1", quickstart.lines["base URL"])
    example = example.replace("hg-…", quickstart.lines["key"])
    answer = await run(sys.executable, "-c", example)
    shown = block("text").strip().removesuffix("…").strip()
    assert answer.startswith(shown)


async def test_the_printed_curl_command_works(quickstart: GatewayProcess) -> None:
    answer = await run("sh", "-c", f"{quickstart.lines['try']} --silent --show-error --fail")
    assert '"object":"chat.completion"' in answer


async def test_what_up_prints_is_what_the_readme_shows(quickstart: GatewayProcess) -> None:
    shown = re.findall(r"^(base URL|key|try|ready|config|logs) +\S", block("console"), re.MULTILINE)
    assert shown == list(quickstart.lines)


def test_the_first_command_stands_before_line_30_and_the_whole_is_short() -> None:
    lines = README.splitlines()
    assert any(line.startswith("$ make up") for line in lines[:30])
    assert len(lines) <= 170


def test_the_commands_named_exist() -> None:
    named = set(re.findall(r"`?headgate ([a-z]+)", README)) - {"is"}
    assert named >= {"up", "check", "render", "status", "bench", "keys"}
    for command in sorted(named):
        subprocess.run(
            [Path(sys.executable).with_name("headgate"), command, "--help"], check=True, capture_output=True
        )
    targets = set(re.findall(r"make ([a-z]+)", README))
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)


def test_the_yaml_shown_is_valid_but_for_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(block("yaml").replace('"…"', "0" * 64))
    command = [Path(sys.executable).with_name("headgate"), "check", file]
    checked = subprocess.run(
        command,
        env={**os.environ, "OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
