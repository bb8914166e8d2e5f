"""Generates the Python stubs from proto/: the build hook of the wheel, and `make proto`.

protoc comes from grpcio-tools and the type stubs from mypy-protobuf, so that nothing besides
Python packages is needed. The output folder is emptied first: a message that left the contract
leaves no stub behind.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # `make proto` runs this file without hatchling's loader
    BuildHookInterface = object  # type: ignore[assignment,misc]

OUTPUT = Path("gen/python")


def generate(root: Path) -> int:
    """Writes messages, services and type stubs of every file under proto/; returns their count."""
    proto = root / "proto"
    out = root / OUTPUT
    files = sorted(str(path.relative_to(proto)) for path in proto.rglob("*.proto"))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(proto)]
    services = [name for name in files if name.endswith("_service.proto")]
    for kind, plugin, inputs in (
        ("python", "mypy", files),
        ("grpc_python", "mypy_grpc", services),
    ):
        outputs = [f"--{kind}_out={out}", f"--{plugin}_out={out}", f"--{plugin}_opt=quiet"]
        command = [*protoc, _where(f"protoc-gen-{plugin}"), *outputs, *inputs]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    for package in out.iterdir():
        (package / "py.typed").touch()
    return len(files)


def _where(plugin: str) -> str:
    """Tells protoc where a plugin is.

    It lies beside this interpreter, which a venv that is not activated does not put on PATH; or on
    PATH, where pip puts it for a build of its own.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(plugin, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError(f"{plugin}: not found; mypy-protobuf has it")
    return f"--plugin={plugin}={found}"


class StubHook(BuildHookInterface):  # type: ignore[misc,unused-ignore]
    """Runs `generate` before hatchling collects files, for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Generates the stubs below the project's root."""
        generate(Path(self.root))


if __name__ == "__main__":
    count = generate(Path(__file__).parent)
    sys.stdout.write(f"{count} files of proto/ -> {OUTPUT}\n")
