"""A limit on time: what happens at its end, before it, and when somebody else cancels."""

import asyncio

import pytest

from xsp_server.upstream.deadline import Deadline


def deadline(seconds: float) -> Deadline:
    return Deadline(seconds, asyncio.get_running_loop())


async def test_what_takes_too_long_is_cancelled_and_raises_timeout_error():
    cancelled = []

    async def hang():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(TimeoutError), deadline(0.01):
        await hang()
    assert cancelled
    assert not asyncio.current_task().cancelling()


async def test_what_ends_in_time_is_not_disturbed_later():
    with deadline(0.01) as limit:
        await asyncio.sleep(0)
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, later.set)
    await later.wait()  # nobody cancels this
    assert limit._handle.cancelled()


@pytest.mark.parametrize("error", [KeyError("x"), asyncio.CancelledError()])
async def test_an_error_inside_comes_out_as_it_is(error):
    with pytest.raises(type(error)), deadline(60):
        raise error


async def test_somebody_elses_cancelling_stays_cancelling():
    inside = asyncio.Event()

    async def work():
        with deadline(60):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_so_it_does_where_the_time_ends_at_the_same_moment():
    async def work():
        with deadline(0):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)  # it is inside; its time ends with this turn of the loop
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_outer_deadline_ends_what_an_inner_one_allows():
    inner = deadline(60)
    with pytest.raises(TimeoutError), deadline(0.01), inner:
        await asyncio.Event().wait()
    assert not inner._is_over


async def test_an_inner_deadline_leaves_the_outer_one_to_go_on():
    with deadline(60):
        with pytest.raises(TimeoutError), deadline(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_no_time_at_all_ends_at_the_first_wait():
    with pytest.raises(TimeoutError), deadline(0):
        await asyncio.Event().wait()


async def test_there_has_to_be_a_task_to_cancel():
    loop, outcome = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def outside():
        try:
            Deadline(1, loop).__enter__()
        except RuntimeError as error:
            outcome.set_result(str(error))

    loop.call_soon(outside)
    assert "outside of a task" in await outcome
