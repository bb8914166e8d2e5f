"""Every vector holds, whatever the order of replies, seatbids and bids."""

import random

import pytest

from auction import vector_files

VECTORS = [pytest.param(path, id=path.stem) for path in vector_files.files()]


@pytest.mark.parametrize("path", VECTORS)
def test_the_auction_comes_to_what_the_vector_says(path):
    vector = vector_files.read(path)
    assert vector_files.outcome(vector.run()) == vector.expected


@pytest.mark.parametrize("path", VECTORS)
def test_the_order_of_replies_seatbids_and_bids_is_of_no_account(path):
    vector = vector_files.read(path)
    for seed in range(5):
        shuffled = vector.shuffled(random.Random(seed))
        assert vector_files.outcome(shuffled.run()) == vector.expected
