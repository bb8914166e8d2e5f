"""A server that records: its auctions run again from the file and come out the same."""

import asyncio
import sys
from pathlib import Path

from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp_server.config import Settings
from xsp_server.service.record_file import read_records
from xsp_server.service.server import Server

XSP = Path(sys.executable).parent / "xsp"

BIDDERS = (
    {"type": "simulated", "name": "a", "price": "uniform min=1 max=9", "seed": 1},
    {"type": "simulated", "name": "b", "price": "uniform min=1 max=9", "seed": 2},
    {"type": "simulated", "name": "c", "price": 5.0, "no_bid_rate": 0.5, "media_types": ["video"]},
)


async def test_auctions_of_a_server_replay_to_the_same_answers(dial, sample, tmp_path):
    file = tmp_path / "auctions.xsp"
    settings = Settings(
        server={"listen": "127.0.0.1:0"},
        bidders=BIDDERS,
        record={"file": file},
        auction={"seatnonbid": True},
    )
    answers = []
    async with Server(settings) as server:
        stub = dial(server)
        for number in range(50):
            sample.id = f"request-{number}"
            sample.regs.coppa = number % 2 == 0
            answers.append(await stub.Bid(sample))
        answers.append((await stub.RunAuction(RunAuctionRequest(bid_request=sample))).bid_response)
    with file.open("rb") as opened:
        records = list(read_records(opened, str(file)))
    assert [record.bid_response for record in records] == answers
    assert len({record.auction_id for record in records}) == 51

    process = await asyncio.create_subprocess_exec(
        XSP,
        "replay",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    assert process.returncode == 0, output
    assert "51" in output


async def test_run_auction_gives_the_record_when_asked(serve, dial, sample):
    server = await serve(*BIDDERS)
    options = AuctionOptions(record=True)
    answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample, options=options))
    assert answer.record.bid_response == answer.bid_response
    assert answer.record.bid_request == sample
    assert {reply.bidder for reply in answer.record.replies} >= {"a", "b"}
