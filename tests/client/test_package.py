"""The package as a whole: its public surface and what it needs."""

import subprocess
import sys

import xsp_client


def test_the_public_names_are_sorted_and_there():
    assert xsp_client.__all__ == sorted(xsp_client.__all__)
    assert all(hasattr(xsp_client, name) for name in xsp_client.__all__)


def test_nothing_public_lacks_a_place_in_all():
    public = {name for name in vars(xsp_client) if not name.startswith("_")}
    assert public == set(xsp_client.__all__)


def test_it_loads_nothing_besides_its_four_dependencies_and_the_stubs():
    program = (
        "import sys; before = set(sys.modules)\n"
        "import xsp_client\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - sys.stdlib_module_names))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    grpc_s = ("grpc", "_cython", "cython_runtime", "typing_extensions")  # and what it looks for
    others = {name for name in run.stdout.split() if not name.startswith(grpc_s)}
    assert others == {"google", "xsp", "xsp_client"}
