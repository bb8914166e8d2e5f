"""Bidders that answer out of a file: for tests and demos."""

import json
from pathlib import Path
from typing import ClassVar, Literal

from google.protobuf.message import DecodeError
from pydantic import BaseModel

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError, InvalidJson, TooLarge
from xsp_server.openrtb import codec
from xsp_server.registry import configurable
from xsp_server.upstream.transport import Ask, Transport, UpstreamConfig

PLACEHOLDER = b"{request_id}"


class FileSettings(UpstreamConfig):
    """A bidder whose answer is a file."""

    path: Path
    """The bid response. `{request_id}` in any of its texts becomes the id of the request."""
    format: Literal["json", "protobuf"] | None = None
    """How the file is written. Without: protobuf where its name ends in .pb or .binpb, else OpenRTB
    JSON."""


@configurable("file")
class FileTransport(Transport):
    """Answers every request with the bid response of a file, which is read once, at the start."""

    Settings: ClassVar[type[BaseModel]] = FileSettings

    def __init__(self, settings: FileSettings, /) -> None:
        """Reads the file.

        Raises:
            ConfigError: it can't be read, or holds no bid response.
        """
        super().__init__(settings)
        self._text = codec.write(_read(settings))

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        return self.begin(ask, timeout)

    def begin(self, ask: Ask, timeout: float) -> BidResponse:  # noqa: ARG002
        """See `Transport.begin`."""
        request_id = json.dumps(ask.request.id, ensure_ascii=False)[1:-1].encode()
        return codec.parse_bid_response(self._text.replace(PLACEHOLDER, request_id)).message


def _read(settings: FileSettings) -> BidResponse:
    path = settings.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; expected a readable file") from None
    if (settings.format or _format(path)) == "protobuf":
        try:
            return BidResponse.FromString(data)
        except DecodeError as error:
            raise ConfigError(f"{path}: {error}; expected a BidResponse in protobuf") from None
    try:
        return codec.parse_bid_response(data).message
    except (InvalidJson, TooLarge) as error:
        raise ConfigError(f"{path}: {error}; expected a bid response in OpenRTB JSON") from None


def _format(path: Path) -> str:
    return "protobuf" if path.suffix in {".pb", ".binpb"} else "json"
