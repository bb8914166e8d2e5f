"""W3C Trace Context: what is a parent, what a child says, and what is passed on of a state."""

import pytest

from xsp_server.upstream import trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        PARENT,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-will-come",
    ],
)
def test_a_parent(traceparent):
    assert trace.is_parent(traceparent)


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param("", id="nothing"),
        pytest.param(PARENT.upper(), id="capitals"),
        pytest.param("ff" + PARENT[2:], id="the version that can't be"),
        pytest.param(PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), id="no trace"),
        pytest.param(PARENT.replace("b7ad6b7169203331", "0" * 16), id="no span"),
        pytest.param(PARENT[:-3], id="no flags"),
        pytest.param(PARENT + "-more", id="more than version 00 has"),
        pytest.param("cc" + PARENT[2:] + ".more", id="more without a dash"),
        pytest.param(PARENT + "\n", id="a line break"),
        pytest.param(PARENT.replace("0af", "\u0660af"), id="digits of another script"),
    ],
)
def test_no_parent(traceparent):
    assert not trace.is_parent(traceparent)


@pytest.mark.parametrize(
    ("flags", "passed_on"), [("00", "00"), ("01", "01"), ("02", "02"), ("ff", "03")]
)
def test_a_child_is_of_the_same_trace_with_its_own_span_and_the_flags_that_are_known(
    flags, passed_on
):
    parent = "cc" + PARENT[2:-2] + flags + "-more"
    assert trace.child(parent, 0xABC) == (
        f"00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-{passed_on}"
    )
    assert trace.is_parent(trace.child(parent, 0))


def test_a_new_trace_is_a_parent_that_is_not_sampled():
    assert trace.new(1, 2) == f"00-{1:032x}-{2:016x}-02"
    assert trace.is_parent(trace.new(0, 0))


@pytest.mark.parametrize(
    ("tracestate", "passed_on"),
    [
        ("a=1", "a=1"),
        ("a=1, b@c=2 ,,\t", "a=1,b@c=2"),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{n}=v" for n in range(33)), None),
        ("a=1,a=2", None),
        ("A=1", None),
        ("a=1,b", None),
        ("a=é", None),
        ("a=" + "x" * 257, None),
        ("", None),
        (" , ", None),
    ],
)
def test_a_state_is_passed_on_where_it_is_one(tracestate, passed_on):
    assert trace.state(tracestate) == passed_on


def test_a_state_that_is_too_long_loses_long_members_first_and_then_the_last():
    short = [f"k{n:02}={'v' * 60}" for n in range(8)]  # 64 characters each
    long = [f"long{n}={'v' * 200}" for n in range(2)]
    assert trace.state(",".join([*long[:1], *short[:4], *long[1:]])) == ",".join(
        [*long[:1], *short[:4]]
    )
    assert trace.state(",".join([*long, *short])) == ",".join(short[:7])
    assert len(trace.state(",".join(short))) <= 512
