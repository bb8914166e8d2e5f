"""The exchange's node in the supply chain (OpenRTB 2.6 sections 3.2.25 and 3.2.26)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.schain import ChainNode, append_node
from xsp_server.errors import ConfigError
from xsp_server.openrtb import codec

OURS = ChainNode("exchange.example", sid="seller-7")
OUR_NODE = {"asi": "exchange.example", "sid": "seller-7", "rid": "r1", "hp": 1}
FIRST = {"asi": "ssp.example", "sid": "00001", "rid": "r0", "hp": 1}
CHAIN = {"complete": 1, "nodes": [FIRST], "ver": "1.0"}


def request(**members):
    return codec.from_dict(BidRequest, {"id": "r1", **members}).message


def after(message, node=OURS):
    """The request as JSON, once the node is in it."""
    return codec.to_dict(append_node(message, node))


def test_the_node_is_appended_and_all_before_it_stays():
    whole = {
        "complete": 1,
        "ver": "1.3",
        "ext": {"b": 2},
        "nodes": [
            {**FIRST, "name": "First", "domain": "first.example", "ext": {"a": [1, None]}},
            {"asi": "two.example", "sid": "", "hp": 0},
        ],
    }
    message = request(source={"tid": "t", "schain": whole})
    expected = {**whole, "nodes": [*whole["nodes"], OUR_NODE]}
    assert after(message)["source"] == {"tid": "t", "schain": expected}


@pytest.mark.parametrize("complete", [0, 1])
@pytest.mark.parametrize("ours", [False, True])
def test_a_chain_that_came_keeps_what_it_says_of_being_complete(complete, ours):
    message = request(source={"schain": {**CHAIN, "complete": complete}})
    node = ChainNode("exchange.example", sid="7", create=False, complete=ours)
    assert after(message, node)["source"]["schain"]["complete"] == complete


def test_nothing_is_made_up_for_a_chain_that_lacks_it():
    message = request(source={"schain": {"nodes": [{"asi": "ssp.example"}]}})
    expected = {"nodes": [{"asi": "ssp.example"}, OUR_NODE]}
    assert after(message)["source"]["schain"] == expected


@pytest.mark.parametrize("source", [{}, {"source": {}}, {"source": {"schain": {"complete": 1}}}])
@pytest.mark.parametrize("direct", [False, True])
def test_where_no_chain_came_one_begins_as_the_settings_say(source, direct):
    node = ChainNode("exchange.example", sid="seller-7", complete=direct)
    expected = {"complete": int(direct), "nodes": [OUR_NODE], "ver": "1.0"}
    assert after(request(**source), node)["source"]["schain"] == expected


@pytest.mark.parametrize("source", [{}, {"source": {"tid": "t"}}, {"source": {"schain": {}}}])
def test_where_none_is_to_begin_the_request_is_handed_on_as_it_is(source):
    message = request(**source)
    assert append_node(message, ChainNode("exchange.example", sid="7", create=False)) is message


def test_the_request_that_is_given_stays_as_it_is():
    message = request(source={"schain": CHAIN, "ext": {"schain": CHAIN, "x": 1}})
    before = message.SerializeToString(deterministic=True)
    assert append_node(message, OURS) is not message
    assert message.SerializeToString(deterministic=True) == before


def test_the_node_tells_what_the_settings_say():
    node = ChainNode("exchange.example", sid="7", name="Seller Ltd", domain="seller.example")
    assert after(request(), node)["source"]["schain"]["nodes"] == [
        {
            "asi": "exchange.example",
            "sid": "7",
            "rid": "r1",
            "name": "Seller Ltd",
            "domain": "seller.example",
            "hp": 1,
        }
    ]


def test_a_request_without_id_gives_a_node_without_rid():
    (node,) = append_node(BidRequest(), OURS).source.schain.nodes
    assert not node.HasField("rid")


@pytest.mark.parametrize("channel", ["site", "app", "dooh"])
def test_without_a_sid_in_the_settings_the_publisher_is_the_seller(channel):
    message = request(**{channel: {"publisher": {"id": "pub-3"}}})
    (node,) = append_node(message, ChainNode("exchange.example")).source.schain.nodes
    assert node.sid == "pub-3"
    (node,) = append_node(message, OURS).source.schain.nodes
    assert node.sid == "seller-7"


@pytest.mark.parametrize("channel", [{}, {"site": {}}, {"app": {"publisher": {"name": "n"}}}])
def test_without_a_seller_the_chain_may_not_go_on(channel):
    node = ChainNode("exchange.example")
    message = request(source={"tid": "t", "schain": CHAIN}, **channel)
    assert after(message, node)["source"] == {"tid": "t"}
    alone = request(source={"tid": "t"}, **channel)
    assert append_node(alone, node) is alone


@pytest.mark.parametrize(
    ("place", "rest"),
    [
        ({"source": {"ext": {"schain": CHAIN}}}, {}),
        ({"source": {"ext": {"schain": CHAIN, "omidpn": "p", "x": {"n": 10**30}}}}, {}),
        ({"ext": {"schain": CHAIN}}, {}),
        ({"ext": {"schain": CHAIN, "y": 10**30}}, {"y": 10**30}),
    ],
    ids=["2.5", "2.5 with others", "2.4", "2.4 with others"],
)
def test_a_chain_moves_from_its_old_place(place, rest):
    message = request(**place)
    result = after(message)
    assert result["source"]["schain"] == {**CHAIN, "nodes": [FIRST, OUR_NODE]}
    others = {
        name: value
        for name, value in place.get("source", {}).get("ext", {}).items()
        if name != "schain"
    }
    assert result["source"].get("ext", {}) == others
    assert result.get("ext", {}) == rest


def test_the_newest_place_that_has_nodes_counts_and_the_others_are_emptied():
    other = {**CHAIN, "nodes": [{**FIRST, "sid": "old"}]}
    message = request(
        source={"schain": CHAIN, "ext": {"schain": other}}, ext={"schain": other, "x": 1}
    )
    result = after(message)
    assert result["source"] == {"schain": {**CHAIN, "nodes": [FIRST, OUR_NODE]}, "ext": {}}
    assert result["ext"] == {"x": 1}

    message = request(source={"schain": {"complete": 1, "nodes": []}, "ext": {"schain": other}})
    assert after(message)["source"]["schain"]["nodes"] == [{**FIRST, "sid": "old"}, OUR_NODE]


def test_a_chain_whose_numbers_came_as_text_is_read_all_the_same():
    loose = {"complete": "1", "nodes": [{**FIRST, "hp": "1", "sid": 1}], "ver": "1.0"}
    message = request(source={"ext": {"schain": loose}})
    assert message.source.ext.raw_json
    nodes = [{**FIRST, "sid": "1"}, OUR_NODE]
    assert after(message)["source"] == {"schain": {**CHAIN, "nodes": nodes}, "ext": {}}


@pytest.mark.parametrize("broken", [[], "1.0,1!ssp.example,1,1", 7, {"nodes": "x"}, {"nodes": [3]}])
def test_a_chain_that_cannot_be_read_makes_ours_incomplete(broken):
    """Somebody was there before, so that even a direct seller's chain is not all of it."""
    node = ChainNode("exchange.example", sid="seller-7", create=False, complete=True)
    expected = {"complete": 0, "nodes": [OUR_NODE], "ver": "1.0"}
    assert after(request(ext={"schain": broken}), node)["source"]["schain"] == expected


@pytest.mark.parametrize("chain", ['{"nodes":[]}', "null"])
def test_an_old_place_without_nodes_is_no_chain(chain):
    message = BidRequest(id="r1", ext={"raw_json": f'{{"schain":{chain}}}'})
    assert append_node(message, ChainNode("exchange.example", sid="7", create=False)) is message


@pytest.mark.parametrize(
    "raw",
    [
        '"schain"',
        '["schain"]',
        '{"schain":',
        "x",
        '{"x":"schain"}',
        '{"schain":{"nodes":[{"asi":"a"}]},"x":NaN}',
    ],
)
def test_other_raw_json_is_left_as_it_is(raw):
    message = BidRequest(id="r1", ext={"raw_json": raw})
    result = append_node(message, OURS)
    assert result.ext.raw_json == raw
    assert result.source.schain.complete is False
    assert len(result.source.schain.nodes) == 1


def test_raw_json_that_is_too_deep_to_write_again_stays():
    deep = '{"schain":' + json.dumps(CHAIN) + ',"x":' + "[" * 300 + "]" * 300 + "}"
    result = append_node(BidRequest(id="r1", ext={"raw_json": deep}), OURS)
    assert result.ext.raw_json == deep
    assert [node.asi for node in result.source.schain.nodes] == ["ssp.example", "exchange.example"]
    deep = '{"schain":{"nodes":' + "[" * 300 + "]" * 300 + "}}"
    result = append_node(BidRequest(id="r1", ext={"raw_json": deep}), OURS)
    assert [node.asi for node in result.source.schain.nodes] == ["exchange.example"]


nodes = st.builds(
    BidRequest.SupplyChainNode,
    asi=st.text(max_size=5),
    sid=st.text(max_size=5),
    hp=st.booleans(),
    ext=st.builds(BidRequest.SupplyChainNode.Ext, raw_json=st.just('{"a":1}')),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(nodes, min_size=1, max_size=5), st.booleans(), st.text(max_size=3))
def test_all_but_the_last_node_is_what_came(came, complete, version):
    chain = BidRequest.SupplyChain(nodes=came, complete=complete, ver=version)
    result = append_node(BidRequest(id="r1", source={"schain": chain}), OURS).source.schain
    assert result.nodes[-1].asi == "exchange.example"
    del result.nodes[-1]
    assert result == chain


def test_settings_come_from_toml():
    values = {
        "asi": "exchange.example",
        "sid": "7",
        "name": "Seller Ltd",
        "domain": "seller.example",
        "create": False,
        "complete": True,
    }
    assert ChainNode.from_mapping(values) == ChainNode(**values)
    assert ChainNode.from_mapping({"asi": "exchange.example"}) == ChainNode("exchange.example")


DOMAIN = "expected a bare domain in lower case, as example.com"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "s.asi: missing; expected the exchange's domain"),
        ({"asi": "a.example", "isa": 1}, "s.isa: no such setting"),
        ({"asi": 7}, "s.asi: got 7; expected text"),
        ({"asi": "a.example", "create": 1}, "s.create: got 1; expected true or false"),
        ({"asi": "https://a.example"}, f"s.asi: got 'https://a.example'; {DOMAIN}"),
        ({"asi": "a.example/x"}, f"s.asi: got 'a.example/x'; {DOMAIN}"),
        ({"asi": "A.example"}, f"s.asi: got 'A.example'; {DOMAIN}"),
        ({"asi": "localhost"}, f"s.asi: got 'localhost'; {DOMAIN}"),
        ({"asi": "a.example\n"}, f"s.asi: got 'a.example\\n'; {DOMAIN}"),
        ({"asi": "a..example"}, f"s.asi: got 'a..example'; {DOMAIN}"),
        ({"asi": "a.example", "domain": ""}, f"s.domain: got ''; {DOMAIN}"),
        ({"asi": "a.example", "sid": ""}, "s.sid: got 0 characters; expected 1 to 64"),
        ({"asi": "a.example", "sid": "x" * 65}, "s.sid: got 65 characters; expected 1 to 64"),
        ({"asi": "a.example", "name": ""}, "s.name: got nothing; expected a company, or no"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(values, message):
    with pytest.raises(ConfigError) as error:
        ChainNode.from_mapping(values, "s")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        ChainNode.from_mapping({"asi": "x", "sid": "", "name": ""}, "s")
    lines = str(error.value).split("\n")
    assert [line.partition(":")[0] for line in lines] == ["s.asi", "s.sid", "s.name"]
