"""The way into the command line: `xsp`, or `python -m xsp_server`."""

import sys


def main() -> None:
    """Runs the command line, or says what it needs where only the client was installed."""
    try:
        from xsp_server.cli import main as run  # noqa: PLC0415 - it may not be there
    except ModuleNotFoundError as missing:
        sys.exit(f'xsp: {missing.name} is not installed; expected the extra "server": xsp[server]')
    run()


if __name__ == "__main__":
    main()
