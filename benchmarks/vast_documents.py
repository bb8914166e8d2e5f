"""The documents of a chain on the far side of a socket, at as little cost as may be.

python vast_documents.py FOLDER        serves FOLDER's chain; prints the first document's address

Every host of the chain is this one: the documents name it instead.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import uvloop

_HOST = re.compile(rb"http://[a-z0-9-]+\.test/")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nCache-Control: no-store\r\n"


class Far(asyncio.Protocol):
    """Answers each GET with the document of its path."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._transport: Any = None  # uvloop's is no asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers; a request comes in one piece."""
        assert data.endswith(b"\r\n\r\n"), "a request in pieces"
        self._transport.write(self._answers[data.split(b" ", 2)[1]])


async def main(folder: Path) -> None:
    """Serves until standard input closes."""
    answers: dict[bytes, bytes] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Far(answers), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    documents = json.loads((folder / "documents.json").read_bytes())
    for response in documents["responses"]:
        body = _HOST.sub(address.encode(), (folder / response["file"]).read_bytes())
        path = _HOST.sub(b"/", response["uri"].encode())
        answers[path] = _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    print(_HOST.sub(address.encode(), documents["entry"].encode()).decode(), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
