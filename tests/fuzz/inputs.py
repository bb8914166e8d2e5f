"""Inputs of the fuzzing: what one is, and how it stands in a file of the corpus."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from google.protobuf import text_format

from xsp.vast.v1 import vast_pb2

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes as a server may send them, with the character set of its header."""

    data: bytes
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a caller may send it, in protobuf's binary form."""

    wire: bytes

    @property
    def vast(self) -> vast_pb2.Vast:
        return vast_pb2.Vast.FromString(self.wire)


@dataclass(frozen=True, slots=True)
class Macros:
    """A URL and what is known of its macros.

    Attributes:
        url: of a document.
        values: by name: a text, a number, a list of texts, or {"absence": "-1"}.
        spellings: names of `Spelling`.
        only: names to fill; None: all.
    """

    url: str
    values: dict[str, Any]
    spellings: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


Input = Document | Message | Macros


def save(one: Input, folder: Path, why: str) -> Path:
    """Writes an input where the normal test run finds it; `why` begins the file's name."""
    match one:
        case Document(data, charset):
            suffix = ".xml" if charset is None else f".{quote(charset, safe='')}.xml"
        case Message():
            data, suffix = text_format.MessageToString(one.vast).encode(), ".textproto"
        case Macros():
            fields = {name: getattr(one, name) for name in Macros.__slots__}
            data, suffix = json.dumps(fields, indent=1).encode() + b"\n", ".json"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{why}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    path.write_bytes(data)
    return path


def load(path: Path) -> Input:
    """An input out of its file."""
    data = path.read_bytes()
    if path.suffix == ".textproto":
        return Message(text_format.Parse(data.decode(), vast_pb2.Vast()).SerializeToString())
    if path.suffix == ".json":
        fields = json.loads(data)
        only = fields["only"]
        return Macros(
            fields["url"],
            fields["values"],
            tuple(fields["spellings"]),
            None if only is None else tuple(only),
        )
    _, dot, charset = path.stem.partition(".")
    return Document(data, unquote(charset) if dot else None)


def files() -> list[Path]:
    """The corpus."""
    return sorted(CORPUS.iterdir())
