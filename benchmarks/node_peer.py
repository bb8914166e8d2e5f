"""vast-client-js under Node, a peer to measure against: installed when first wanted.

It goes to bench-results, which no commit takes along. Where Node or npm are absent, or can't reach
what they need, there is no peer, and the benchmarks say so.
"""

import json
import shutil
import subprocess
from pathlib import Path

PACKAGE = "@dailymotion/vast-client"
VERSION = "6.4.5"

_FOLDER = Path(__file__).parent.parent / "bench-results" / "node"
_INSTALL_SECONDS = 120


def module() -> Path | None:
    """The module to `require`; None: there is no peer."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    package = _FOLDER / "node_modules" / PACKAGE
    if not _is_installed(package):
        _FOLDER.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", "."]
        try:
            subprocess.run(  # noqa: S603 - a fixed command
                [*command, f"{PACKAGE}@{VERSION}"],
                cwd=_FOLDER,
                timeout=_INSTALL_SECONDS,
                capture_output=True,
                check=True,
            )
        except (subprocess.SubprocessError, OSError):
            return None
    return package / "dist" / "vast-client-node.js" if _is_installed(package) else None


def _is_installed(package: Path) -> bool:
    about = package / "package.json"
    return about.exists() and json.loads(about.read_bytes())["version"] == VERSION
