"""What is wrong with a bid request, by path and rule.

python examples/validate.py
"""

from xsp_server.errors import InvalidJson
from xsp_server.openrtb import codec
from xsp_server.openrtb.validation import BidRequestValidator

REQUEST = """
{
  "id": "1",
  "imp": [
    {"id": "1", "video": {"minduration": 5, "rqddurs": [15]}, "bidfloorcur": "EURO"},
    {"id": "1", "banner": {"w": 300}}
  ],
  "wseat": ["a"], "bseat": ["b"],
  "device": {"ip": "192.0.2.300"},
  "made_up": true
}
"""


def main() -> None:
    """Types are the codec's to refuse, rules the validator's."""
    parsed = codec.parse_bid_request(REQUEST)
    print("not in OpenRTB 2.6:", *parsed.unknown)
    for violation in BidRequestValidator().validate(parsed.message).errors:
        print(violation)
    try:
        codec.parse_bid_request('{"imp": [{"banner": {"w": "300"}}]}')
    except InvalidJson as error:
        print(error)


main()
