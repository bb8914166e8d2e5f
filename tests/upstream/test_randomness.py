"""Randomness: as many bits as asked for, each given out once."""

import os

import pytest

from xsp_server.upstream.randomness import Randomness


def counting():
    """Words that count, so that their order shows; and how much was drawn."""
    drawn = []

    def draw(size):
        first = sum(drawn) // 8
        drawn.append(size)
        return b"".join((first + n).to_bytes(8, "little") for n in range(size // 8))

    return draw, drawn


@pytest.mark.parametrize("count", [1, 8, 63, 64, 65, 128, 320])
def test_as_many_bits_come_as_are_asked_for(count):
    randomness = Randomness()
    seen = 0
    for _ in range(200):
        bits = randomness.bits(count)
        assert 0 <= bits < 1 << count
        seen |= bits
    assert seen == (1 << count) - 1


def test_no_word_comes_twice():
    draw, drawn = counting()
    randomness = Randomness(draw)
    words = [randomness.bits(64) for _ in range(1200)]
    assert len(set(words)) == 1200
    assert len(drawn) == 3


def test_bits_of_several_words_are_new_in_each():
    draw, _ = counting()
    bits = Randomness(draw).bits(128)
    assert bits >> 64 != bits & (1 << 64) - 1


def test_a_child_process_has_none_of_its_parents_words(monkeypatch):
    hooks = {}
    monkeypatch.setattr(os, "register_at_fork", hooks.update)
    draw, drawn = counting()
    randomness = Randomness(draw)
    randomness.bits(64)
    hooks["after_in_child"]()
    randomness.bits(64)
    assert len(drawn) == 2
