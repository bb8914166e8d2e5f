"""The way in: with the server's packages, and without."""

import subprocess
import sys

WITHOUT_CLICK = """
import sys
sys.modules["click"] = None
from xsp_server.__main__ import main
main()
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_the_package_is_a_program():
    done = run("-m", "xsp_server", "--help")
    assert done.returncode == 0
    assert "Run the server." in done.stdout


def test_where_only_the_client_is_installed_it_says_what_is_missing():
    done = run("-c", WITHOUT_CLICK)
    assert done.returncode == 1
    assert done.stderr == 'xsp: click is not installed; expected the extra "server": xsp[server]\n'
