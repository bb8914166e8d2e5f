"""The Lua scripts beside this module, and how a server is asked to run one."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Final

from xsp_server.state.backend import DUE_AT_ONCE, SLACK_MS
from xsp_server.state.windows import NEVER, SLIDING_STEPS

COLLECT_MS: Final = 300_000
"""How often a book that is written in is searched for counters that are gone, at most."""

Command = tuple[bytes | str | int, ...]
"""A command as it is sent."""


class Script:
    """A script, by its text and by the digest that a server knows it by once it has run it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def by_digest(self, keys: Sequence[str], *arguments: bytes | str | int) -> Command:
        """Runs it; the server answers NOSCRIPT where it does not know it."""
        return ("EVALSHA", self.digest, len(keys), *keys, *arguments)

    def by_text(self, command: Command) -> Command:
        """The same with the text, which also makes the script known."""
        return ("EVAL", self.text, *command[2:])


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


_CONSTANTS: Final = {
    "NEVER": NEVER,
    "SLACK_MS": SLACK_MS,
    "DUE_AT_ONCE": DUE_AT_ONCE,
    "SLIDING_STEPS": SLIDING_STEPS,
    "COLLECT_MS": COLLECT_MS,
}

APPLY: Final = Script(
    "".join(f"local {name} = {number}\n" for name, number in _CONSTANTS.items())
    + _read("apply.lua")
)
"""Moves of one book."""

FIND: Final = Script(_read("find.lua"))
"""What is known of moves of one book."""

CAMPAIGNS: Final = Script(_read("campaigns.lua"))
"""One campaign stored or deleted."""
