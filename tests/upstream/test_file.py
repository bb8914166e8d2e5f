"""Bidders that answer out of a file."""

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import registry
from xsp_server.errors import ConfigError
from xsp_server.openrtb import codec
from xsp_server.upstream import Ask
from xsp_server.upstream.file import FileTransport

RESPONSE = BidResponse(
    id="{request_id}",
    seatbid=[{"bid": [{"id": "b", "impid": "1", "price": 2, "nurl": "https://n/?r={request_id}"}]}],
)


def made(path, **settings):
    section = {"type": "file", "name": "acme", "path": path, **settings}
    transport = registry.build("transport", section, "x")
    assert isinstance(transport, FileTransport)
    return transport


@pytest.mark.parametrize(
    ("name", "data", "settings"),
    [
        ("answer.json", codec.write(RESPONSE), {}),
        ("answer.pb", RESPONSE.SerializeToString(), {}),
        ("answer.binpb", RESPONSE.SerializeToString(), {}),
        ("answer.txt", codec.write(RESPONSE), {}),
        ("answer", RESPONSE.SerializeToString(), {"format": "protobuf"}),
        ("answer.pb", codec.write(RESPONSE), {"format": "json"}),
    ],
)
async def test_the_answer_is_the_file_s_with_the_request_s_id(tmp_path, name, data, settings):
    path = tmp_path / name
    path.write_bytes(data)
    transport = made(path, **settings)
    for request_id in ("r-1", 'odd "id" \\ é'):
        response = await transport.send(Ask(BidRequest(id=request_id)), 5)
        assert response.id == request_id
        assert response.seatbid[0].bid[0].nurl == f"https://n/?r={request_id}"
        assert response.seatbid[0].bid[0].price == 2


async def test_an_answer_without_placeholder_stays_as_it_is(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text('{"id": "fixed", "nbr": 2}')
    assert await made(path).send(Ask(BidRequest(id="1")), 5) == BidResponse(id="fixed", nbr=2)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("gone.json", None, "gone.json: No such file or directory; expected a readable file"),
        ("bad.json", b"{", "bad.json: .*; expected a bid response in OpenRTB JSON"),
        ("bad.json", b'{"id": 5}', "bad.json: id: expected string"),
        ("bad.pb", b"\xff\xff", "bad.pb: .*; expected a BidResponse in protobuf"),
    ],
)
def test_a_file_without_an_answer_is_told(tmp_path, name, data, expected):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=expected):
        made(tmp_path / name)
