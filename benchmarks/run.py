"""Runs the benchmarks and writes their figures as JSON.

    python benchmarks/run.py [NAME…]        # all without a name

Each benchmark is a module `bench_NAME` with `run() -> figures` and `table(figures) -> str`.
"""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import google.protobuf
import grpc

HERE = Path(__file__).parent
RESULTS = HERE.parent / "bench-results"
NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(names: list[str]) -> None:
    """Measures one after the other, printing each as it ends."""
    figures = {}
    for name in names:
        module = import_module(f"bench_{name}")
        print(f"== {name}: {module.__doc__.partition('.')[0].strip()}")
        figures[name] = module.run()
        print(module.table(figures[name]), end="\n\n", flush=True)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"machine": _machine(), **figures}, indent=2) + "\n", "utf-8")
    print(f"figures: {file.relative_to(HERE.parent)}")


def _machine() -> dict[str, str | int | None]:
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "protobuf": google.protobuf.__version__,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all without")
    main(parser.parse_args().names or NAMES)
