"""What holds for every request."""

from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.consent_strings import US_FIELDS, Tc, gpp, us
from privacy.requests import request
from xsp_server.auction.privacy import (
    Action,
    BidderPrivacy,
    Disclosure,
    PrivacyPolicy,
    Signal,
)
from xsp_server.auction.privacy.tcf import TcString
from xsp_server.openrtb import codec

DEFAULT = PrivacyPolicy()
PERSONAL = ["user-1", "buyer-1", "cookie", "eid-1", "ifa-1", "ifv-1", "hashed_email"]
PERSONAL += ["sailing", "198.51.100.77", "aaaa:bbbb", "u281z7j", "48.137154"]

ids = st.sets(st.integers(1, 24))
vendors = st.one_of(
    st.lists(st.integers(1, 300), max_size=20),
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 20)), max_size=6).map(
        lambda pairs: [(first, first + more) for first, more in pairs]
    ),
)
ranges = st.lists(
    st.tuples(st.integers(1, 500), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair))),
    max_size=3,
)
tcs = st.builds(
    Tc,
    consents=ids,
    interests=ids,
    features=st.sets(st.integers(1, 12)),
    vendor_consents=vendors,
    vendor_interests=vendors,
    restrictions=st.lists(st.tuples(st.integers(1, 24), st.integers(0, 3), ranges), max_size=4),
)
sections = st.one_of(
    st.dictionaries(st.sampled_from(sorted(US_FIELDS)), st.integers(0, 3)).map(
        lambda values: {id_: us(id_, {"sale": value}) for id_, value in values.items()}
    ),
    tcs.map(lambda tc: {2: tc}),
)
texts = st.one_of(st.text(max_size=12), st.sampled_from(["1YYN", "1YNN", "1---", "1NYN"]))
regs = st.fixed_dictionaries(
    {},
    optional={
        "coppa": st.booleans(),
        "gdpr": st.booleans(),
        "us_privacy": texts,
        "gpp": st.one_of(texts, sections.map(gpp)),
        "gpp_sid": st.lists(st.sampled_from([-1, 0, 2, 5, 6, 7, 8, 9, 24, 99]), max_size=2),
        "ext": st.fixed_dictionaries({}, optional={"gpc": texts, "us_privacy": texts}),
    },
)
requests = st.builds(
    request, regs, st.one_of(texts, tcs.map(str)), lmt=st.booleans(), dnt=st.booleans()
)
bidders = st.builds(
    BidderPrivacy,
    vendor_id=st.one_of(st.none(), st.integers(1, 520)),
    exempt=st.frozensets(st.sampled_from(Signal), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(requests, bidders)
def test_applying_twice_is_applying_once(message, bidder):
    once = DEFAULT.apply(message, bidder)
    twice = DEFAULT.apply(once.request, bidder)
    assert twice == Disclosure(once.request)
    assert twice.request is once.request


@settings(max_examples=150, deadline=None)
@given(requests, bidders)
def test_a_view_differs_exactly_where_it_says_so(message, bidder):
    before = message.SerializeToString(deterministic=True)
    view = DEFAULT.apply(message, bidder)
    assert message.SerializeToString(deterministic=True) == before
    assert (view.request is message) == (view.changes == ())
    assert (view.request == message) == (view.changes == ())
    assert len({change.path for change in view.changes}) == len(view.changes)
    for change in view.changes:
        if change.action is Action.REMOVE and "*" not in change.path:
            *way, last = change.path.split(".")
            here = view.request
            for step in way:
                here = getattr(here, step)
            assert last not in {field.name for field, _ in here.ListFields()}


@settings(max_examples=100, deadline=None)
@given(requests)
def test_nothing_personal_is_left_of_a_child_or_of_one_who_opted_out(message):
    for opted_out in ({"coppa": True}, {"us_privacy": "1YYN"}):
        for name, value in opted_out.items():
            setattr(message.regs, name, value)
        text = codec.write(DEFAULT.apply(message, BidderPrivacy()).request).decode()
        assert [value for value in PERSONAL if value in text] == []
        message.regs.ClearField(name)


@settings(max_examples=100, deadline=None)
@given(requests, bidders, st.sampled_from(Signal))
def test_an_exemption_never_takes_more(message, bidder, signal):
    wider = BidderPrivacy(bidder.vendor_id, bidder.exempt | {signal})
    taken = {change.path for change in DEFAULT.apply(message, bidder).changes}
    assert {change.path for change in DEFAULT.apply(message, wider).changes} <= taken


@settings(max_examples=150, deadline=None)
@given(tcs)
def test_a_tc_string_is_read_as_it_was_written(tc):
    read = TcString.decode(str(tc))

    def chosen(bits):
        return {place for place, bit in enumerate(bits, 1) if bit == "1"}

    def listed(given):
        spans = [each if isinstance(each, tuple) else (each, each) for each in given]
        return {v for first, last in spans for v in range(first, last + 1)}

    assert chosen(read.consents) == set(tc.consents)
    assert chosen(read.interests) == set(tc.interests)
    assert chosen(read.features) == set(tc.features)
    for vendor in range(560):
        assert (vendor in read.vendor_consents) == (vendor in listed(tc.vendor_consents))
        assert (vendor in read.vendor_interests) == (vendor in listed(tc.vendor_interests))
    expected = [(p, w) for p, w, _ in tc.restrictions if w != 3]
    assert [(purpose, what) for purpose, what, _ in read.restrictions] == expected


@settings(max_examples=150, deadline=None)
@given(st.text(), st.lists(st.integers(-(2**31), 2**31 - 1)), st.text(), st.text())
def test_no_text_makes_it_fail(gpp_string, sids, us_privacy, consent):
    values = {"gdpr": True, "gpp": gpp_string, "gpp_sid": sids, "us_privacy": us_privacy}
    assert isinstance(DEFAULT.apply(request(values, consent), BidderPrivacy(1)), Disclosure)


@settings(max_examples=100, deadline=None)
@given(requests, bidders, st.sampled_from(["coppa", "lmt", "dnt"]))
def test_a_signal_more_never_shows_more(message, bidder, flag):
    def taken():
        return {change.path for change in DEFAULT.apply(message, bidder).changes}

    before = taken()
    setattr(message.regs if flag == "coppa" else message.device, flag, True)
    assert taken() >= before
