"""Chains as files: requests and answers, and what has to come out. `index.json` tells the format.

A chain's hosts end in .test. Its files are read with a port put behind each of them, so that one
local server can be all of them.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from xsp.session.v1 import session_context_pb2
from xsp.vast.v1 import macros_pb2, resolve_options_pb2

VECTORS = Path(__file__).parent.parent / "vectors"
GIVEN = Path(os.environ.get("XSP_VAST_CHAINS", VECTORS / "vast_chains"))
OWN = VECTORS / "vast_chains_own"

_HOST = re.compile(rb"(//[a-z0-9.-]+\.test)(?![a-z0-9.:-])")
_LINEARITY = {
    "any": resolve_options_pb2.LINEARITY_UNSPECIFIED,
    "linear": resolve_options_pb2.LINEARITY_LINEAR,
    "nonlinear": resolve_options_pb2.LINEARITY_NON_LINEAR,
}


def names(folder: Path) -> list[str]:
    """The chains of a folder."""
    return [each["name"] for each in json.loads((folder / "index.json").read_bytes())["scenarios"]]


@dataclass(frozen=True)
class Chain:
    """One chain.

    Attributes:
        folder: its files.
        port: that stands behind its hosts.
    """

    folder: Path
    port: int

    @property
    def documents(self) -> dict[str, Any]:
        return self._json("documents.json")

    @property
    def expected(self) -> dict[str, Any]:
        return self._json("expected.json")

    def body(self, response: Mapping[str, Any]) -> bytes:
        """The body of one of the answers, before any encoding."""
        if "generate" in response:
            parts = response["generate"]
            filler = parts["filler"].encode()
            middle = filler * (parts["filler_bytes"] // len(filler))
            return parts["prefix"].encode() + middle + parts["suffix"].encode()
        if response.get("body_empty") or "file" not in response:
            return b""
        return self._read(response["file"])

    def hosts(self) -> list[str]:
        """All hosts of its addresses, with the port."""
        text = b"".join(file.read_bytes() for file in sorted(self.folder.iterdir()))
        found = {match[1].decode()[2:] for match in _HOST.finditer(text)}
        return [f"{host}:{self.port}" for host in sorted(found)]

    def sources(self) -> list[resolve_options_pb2.VastSource]:
        """Where to start; a list of entries is a waterfall, and an object a group."""
        entry = self.documents["entry"]
        if entry is None:
            (given,) = (r for r in self.documents["responses"] if r["uri"] == "xml:entry")
            source = resolve_options_pb2.VastSource(document=self.body(given))
            if "base_uri" in self.documents:
                source.base_uri = self.documents["base_uri"]
            return [source]
        entries = entry if isinstance(entry, list) else [entry]
        return [_source(each) for each in entries]

    def options(self) -> resolve_options_pb2.ResolveOptions:
        given = dict(self.documents["options"])
        options = resolve_options_pb2.ResolveOptions()
        for name in ("hop_timeout", "total_timeout"):
            if (ms := given.pop(f"{name}_ms", None)) is not None:
                getattr(options, name).FromMilliseconds(ms)
        if "max_wrappers" in given:
            options.max_hops = given.pop("max_wrappers")
        options.requirements.linearity = _LINEARITY[given.pop("want", "any")]
        return json_format.ParseDict(given, options)

    def session(self) -> session_context_pb2.SessionContext | None:
        """Whom the call is for; None: nobody known."""
        given = self.documents.get("session")
        return given and json_format.ParseDict(given, session_context_pb2.SessionContext())

    def macros(self) -> macros_pb2.MacroOptions:
        given = self.documents["macros"]
        options = macros_pb2.MacroOptions()
        for name, value in {**given.get("given", {}), **given.get("fixed", {})}.items():
            if isinstance(value, list):
                options.values[name].items.items.extend(map(str, value))
            else:
                options.values[name].text = str(value)
        for name in given.get("withheld", ()):
            options.values[name].absence = macros_pb2.MACRO_ABSENCE_WITHHELD
        return options

    def _json(self, file: str) -> dict[str, Any]:
        return json.loads(self._read(file))

    def _read(self, file: str) -> bytes:
        return _HOST.sub(rb"\1:%d" % self.port, (self.folder / file).read_bytes())


def _source(entry: str | Mapping[str, Any]) -> resolve_options_pb2.VastSource:
    """An address, or a group of entries."""
    if isinstance(entry, str):
        return resolve_options_pb2.VastSource(tag_uri=entry)
    group = resolve_options_pb2.TagGroup(
        mode=f"TAG_GROUP_MODE_{entry['ask'].upper()}",
        members=[_source(each) for each in entry["members"]],
    )
    return resolve_options_pb2.VastSource(group=group)


def answer_to(uri: str, responses: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The answer to an address; None: the chain doesn't have it."""
    for response in responses:
        asked = uri.partition("?")[0] if response.get("any_query") else uri
        if response["uri"] == asked:
            return response
    return None
