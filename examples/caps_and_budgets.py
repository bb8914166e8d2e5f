"""Three ads an hour for a user, and a campaign's money to the last cent.

python examples/caps_and_budgets.py [HOST:PORT]      # by default the server of `make run`
"""

import asyncio
import sys
import uuid

from xsp.money.v1.money_pb2 import Money
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.state_service_pb2_grpc import StateServiceStub
from xsp_client import XspClient


def usd(amount: float) -> Money:
    """Dollars in whole micros."""
    return Money(currency="USD", micros=round(amount * 1_000_000))


def new_id() -> str:
    """An id for a call: its retry would carry the same one, and change nothing."""
    return str(uuid.uuid4())


async def main(server: str) -> None:
    """Counts four impressions and spends once."""
    async with XspClient(server) as client:
        state = StateServiceStub(client.channel)
        name = f"campaign-{new_id()}"
        campaign = {
            "campaign_id": name,
            "currency": "USD",
            "limits": {"total": usd(1000)},
            "caps": [{"cap_id": "three an hour", "limit": 3}],
        }
        await state.PutCampaign(pb.PutCampaignRequest(request_id=new_id(), campaign=campaign))
        for number in range(1, 5):
            answer = await state.CheckAndIncrementFrequency(
                pb.CheckAndIncrementFrequencyRequest(
                    request_id=new_id(),
                    subject={"user_id": "u-1"},
                    candidates=[{"candidate_id": "ad", "campaign_id": name}],
                )
            )
            [result] = answer.results
            denied = f" by {result.denied_by.cap_id}" if result.HasField("denied_by") else ""
            print(f"ad {number}: {'shown' if result.allowed else 'blocked'}{denied}")
        spent = await state.TrackSpend(
            pb.TrackSpendRequest(request_id=new_id(), campaign_id=name, amount=usd(2.5))
        )
        print(f"remains: {spent.budget.remaining.micros / 1_000_000:.2f} USD")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
