"""Build hook: compiles headgate/wire/*.proto for the gRPC codecs and envoy/module/*.c, which Envoy loads.

What it makes is never committed; an editable install makes it too. The compiler is `$CC`, otherwise `cc`, otherwise
the one in the PyPI package `ziglang`.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
MODULE_SOURCES = sorted((ROOT / "envoy" / "module").glob("*.c"))
MODULE = "headgate/_envoy/module.so"
FLAGS = (
    *("-std=c11", "-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wvla", "-Werror"),
    *("-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"),
    *("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"),
)


class Compile(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if own_compiler() else ["ziglang>=0.15"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        compile_protos(Path(self.root))
        if self.target_name != "wheel":
            return
        compile_module(Path(self.root) / MODULE)
        build_data["pure_python"] = False
        # No part of it is made for one version of Python.
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_protos(root: Path) -> None:
    protos = sorted(str(path.relative_to(root)) for path in (root / "headgate/wire").glob("*.proto"))
    include = str(Path(protoc.__file__).parent / "_proto")
    arguments = ["protoc", f"-I{root}", f"-I{include}", f"--python_out={root}", f"--pyi_out={root}", *protos]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed on headgate/wire/*.proto")


def compile_module(target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    made = target.with_suffix(".so.new")
    subprocess.run([*compiler(), *FLAGS, *MODULE_SOURCES, "-o", made], check=True)
    made.replace(target)  # an Envoy that runs keeps the file that it has mapped


def own_compiler() -> list[str] | None:
    asked = shlex.split(os.environ.get("CC", ""))
    return asked or (["cc"] if shutil.which("cc") else None)


def compiler() -> list[str]:
    found = own_compiler()
    if found:
        return found
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]  # not this machine's own instructions
    raise RuntimeError("no C compiler for envoy/module: install gcc, set CC, or pip install ziglang")
