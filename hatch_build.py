"""Build hook: compiles headgate/wire/*.proto into the modules that the gRPC codecs import.

The generated files are never committed; an editable install makes them too.
"""

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileProtos(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        protos = sorted(str(path.relative_to(root)) for path in (root / "headgate/wire").glob("*.proto"))
        include = str(Path(protoc.__file__).parent / "_proto")
        arguments = ["protoc", f"-I{root}", f"-I{include}", f"--python_out={root}", f"--pyi_out={root}", *protos]
        if protoc.main(arguments) != 0:
            raise RuntimeError("protoc failed on headgate/wire/*.proto")
