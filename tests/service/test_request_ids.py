"""The same request_id: the same answer for the same content, a refusal for other content."""

import pytest

from xsp.bid.v1.bid_service_pb2 import NotifyRequest, NotifyResponse
from xsp_server.service import request_ids
from xsp_server.service.request_ids import (
    Answers,
    RequestIdInvalid,
    RequestIdReused,
    content_of,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def answers(seconds=60.0, **room) -> Answers[NotifyResponse]:
    return Answers(NotifyResponse, seconds, Clock(), **room)


def request(request_id="r", **notice) -> NotifyRequest:
    return NotifyRequest(request_id=request_id, notices=[{"notice_id": "1", **notice}])


ANSWER = NotifyResponse(results=[{"notice_id": "1", "action": 1}])


@pytest.mark.parametrize("request_id", ["r", "a b~!", "x" * 128])
def test_printable_ascii_is_an_id(request_id):
    request_ids.check_request_id(request_id)


@pytest.mark.parametrize(
    ("request_id", "got"),
    [("", "''"), ("x" * 129, "129 characters"), ("ä", "'ä'"), ("a\n", r"'a\n'"), ("\x7f", "x7f")],
)
def test_anything_else_is_none(request_id, got):
    with pytest.raises(RequestIdInvalid) as caught:
        request_ids.check_request_id(request_id)
    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_INVALID")
    assert caught.value.violations[0].path == "request_id"
    assert got in str(caught.value)


def test_a_call_that_did_not_come_before_has_no_answer():
    known = answers()
    assert known.find("r", request()) is None
    known.add("r", content_of(request()), ANSWER)
    assert known.find("s", request("s")) is None


def test_the_same_call_gets_the_same_answer():
    known = answers()
    known.add("r", content_of(request()), ANSWER)
    assert known.find("r", request()) == ANSWER


def reused(first: NotifyRequest, new: NotifyRequest) -> RequestIdReused:
    known = answers()
    known.add("r", content_of(first), ANSWER)
    with pytest.raises(RequestIdReused) as caught:
        known.find("r", new)
    return caught.value


@pytest.mark.parametrize(
    ("first", "new", "metadata"),
    [
        ({"type": 1}, {"type": 2}, {"notices[0].type": "first '1', now '2'"}),
        (
            {"price": {"currency": "USD", "micros": 5}},
            {"price": {"currency": "USD", "micros": 6}},
            {"notices[0].price.micros": "first '5', now '6'"},
        ),
        ({"loss_reason": 0}, {}, {"notices[0].loss_reason": "first '0', now nothing"}),
        ({"bid": {"seat": ""}}, {"bid": {}}, {"notices[0].bid.seat": "first '', now nothing"}),
        ({}, {"bid": {"bid_id": "1"}}, {"notices[0].bid": "first nothing, now 'bid_id: \"1\"\\n'"}),
    ],
)
def test_other_content_is_refused_with_what_differs(first, new, metadata):
    error = reused(request(**first), request(**new))
    assert (error.status, error.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert error.metadata == metadata
    assert next(iter(metadata)) in str(error)


def test_lists_are_compared_by_their_length_and_items():
    first = NotifyRequest(notices=[{"notice_id": "1"}, {"notice_id": "2"}])
    error = reused(first, NotifyRequest(notices=[{"notice_id": "3"}]))
    assert error.metadata == {
        "notices": "first 2 of them, now 1",
        "notices[0].notice_id": "first '1', now '3'",
    }


def test_lists_of_numbers_are_compared_too():
    first = NotifyRequest(session={"consent": {"gpp_sid": [1, 2, 3]}})
    new = NotifyRequest(session={"consent": {"gpp_sid": [1, 4, 3]}})
    known = Answers(NotifyResponse, 60, Clock(), personal=())
    known.add("r", content_of(first), ANSWER)
    with pytest.raises(RequestIdReused) as caught:
        known.find("r", new)
    assert caught.value.metadata == {"session.consent.gpp_sid[1]": "first '2', now '4'"}


def test_what_is_personal_is_named_and_not_shown():
    first = NotifyRequest(session={"user_id": "alice"})
    error = reused(first, NotifyRequest(session={"user_id": "bob"}))
    assert error.metadata == {"session": "differs"}
    assert "bob" not in str(error)


def test_what_differs_is_told_up_to_a_bound():
    first = NotifyRequest(notices=[{"notice_id": "a" * 500}] * 50)
    error = reused(first, NotifyRequest(notices=[{"notice_id": "b" * 500}] * 50))
    assert len(error.metadata) == request_ids.MAX_DIFFERENCES
    assert sum(len(key) + len(value) for key, value in error.metadata.items()) < 4000


def test_an_answer_is_forgotten_after_its_time():
    known = answers(seconds=60)
    known.add("r", content_of(request()), ANSWER)
    known._clock.now = 59.9
    assert known.find("r", request()) == ANSWER
    known._clock.now = 60.0
    assert known.find("r", request(type=2)) is None
    assert (known._bytes, known._calls) == (0, {})


def test_answers_are_bounded_by_their_bytes():
    known = answers(max_bytes=1000)
    for number in range(100):
        known.add(str(number), content_of(request(str(number), bid={"bid_id": "x" * 100})), ANSWER)
    assert known._bytes <= 1000
    assert known.find("99", request("99", bid={"bid_id": "x" * 100})) == ANSWER
    assert known.find("0", request("0")) is None


def test_a_call_that_is_remembered_twice_counts_once():
    size = len(request().SerializeToString()) + len(ANSWER.SerializeToString())
    known = answers(max_bytes=size)
    for _ in range(3):  # as it was made three times at once
        known.add("r", content_of(request()), ANSWER)
    assert known.find("r", request()) == ANSWER
