"""IAB's own example files survive the trip."""

import json
import re

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import InvalidJson
from xsp_server.openrtb import codec

ROOTS = {"BidRequest": BidRequest, "BidResponse": BidResponse, "Content": BidRequest.Content}


@pytest.fixture(scope="session")
def examples(openrtb_examples):
    """Message type, text and known deviations by file name."""
    index = json.loads((openrtb_examples / "index.json").read_bytes())["examples"]
    return {
        name: (ROOTS[facts["root"]], (openrtb_examples / name).read_bytes(), facts["deviations"])
        for name, facts in index.items()
    }


def test_there_are_examples(examples):
    assert len(examples) > 20


def paths(deviations, pattern):
    return sorted(match[1] for each in deviations if (match := re.fullmatch(pattern, each)))


def without(document, path):
    """Takes out the member at a path such as `imp[0].video.apis`."""
    *way, last = re.findall(r"[^.\[\]]+", path)
    for step in way:
        document = document[int(step) if step.isdigit() else step]
    del document[last]


def as_integers(document):
    """Turns the numbers that the files spell as text."""
    for eid in document.get("user", {}).get("eids", ()):
        for each in (eid, *eid["uids"]):
            each |= {name: int(each[name]) for name in ("mm", "atype") if name in each}


def test_every_example_survives_the_trip(examples):
    for name, (message_type, text, deviations) in examples.items():
        expected = json.loads(text)
        for path in paths(deviations, r"(\S+): not a field of \w+"):
            without(expected, path)
        as_integers(expected)
        expected = {member: value for member, value in expected.items() if value != []}
        parsed = codec.parse(message_type, text, coerce=True)
        carried = message_type.FromString(parsed.message.SerializeToString())
        assert json.loads(codec.write(carried)) == expected, name


def test_members_that_are_not_in_the_specification_are_told(examples):
    for name, (message_type, text, deviations) in examples.items():
        told = codec.parse(message_type, text, coerce=True).unknown
        assert [*told] == paths(deviations, r"(\S+): not a field of \w+"), name


def test_text_where_an_integer_is_due_is_refused_or_coerced_just_there(examples):
    for name, (message_type, text, deviations) in examples.items():
        wrong = paths(deviations, r"(\S+): str where integer is due")
        assert [*codec.parse(message_type, text, coerce=True).coerced] == wrong, name
        if not wrong:
            codec.parse(message_type, text)
            continue
        with pytest.raises(InvalidJson) as caught:
            codec.parse(message_type, text)
        violations = caught.value.violations
        assert sorted(violation.path for violation in violations) == wrong, name
        assert {each.description for each in violations} == {"expected integer, got string"}
