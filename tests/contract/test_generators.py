"""The contract imports nothing but google/protobuf, so every generator compiles it, offline."""

import shutil
import subprocess

import pytest

from conftest import ROOT
from xsp.rpc.v1 import error_reason_pb2
from xsp_server import errors

PROTO = ROOT / "proto"
FILES = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))


@pytest.mark.parametrize("language", ["cpp", "csharp", "java", "objc", "php", "ruby"])
def test_protoc_compiles_every_file_for(language, tmp_path):
    protoc = shutil.which("protoc")
    if protoc is None:
        pytest.skip("protoc is not on PATH; the wheel of grpcio-tools has Python's generator only")
    command = [protoc, "--experimental_allow_proto3_optional", "-I", str(PROTO)]
    done = subprocess.run(
        [*command, f"--{language}_out={tmp_path}", *FILES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sum(1 for path in tmp_path.rglob("*") if path.is_file()) >= len(FILES)


def test_nothing_but_google_protobuf_and_itself_is_imported():
    imports = {
        line.split('"')[1]
        for path in PROTO.rglob("*.proto")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("import ")
    }
    outside = {name for name in imports if name not in FILES}
    assert all(name.startswith("google/protobuf/") for name in outside)


def test_every_error_of_the_tree_has_a_reason_in_the_contract():
    reasons = set(error_reason_pb2.ErrorReason.keys())
    todo = [errors.XspError]
    while todo:
        error = todo.pop()
        assert f"ERROR_REASON_{error.reason}" in reasons, error
        todo += error.__subclasses__()
