"""The corpus of the fuzzing, input by input; and whether the fuzzing would find anything."""

import random
from itertools import islice

import pytest

from fuzz import __main__ as fuzzing
from fuzz import checks, inputs
from fuzz.inputs import Document, Macros, Message
from fuzz.mutators import Mutator, seeds

START = seeds(30)


def made(seed, number):
    mutator, dice = Mutator(START), random.Random(seed)
    return [mutator.make(dice) for _ in range(number)]


@pytest.mark.parametrize("path", inputs.files(), ids=lambda path: path.name)
def test_an_input_of_the_corpus_breaks_no_rule(path):
    assert checks.check(inputs.load(path))


def test_the_same_seed_makes_the_same_inputs():
    assert made(3, 200) == made(3, 200)
    assert made(3, 200) != made(4, 200)


def test_there_are_inputs_of_each_kind_and_most_of_them_differ():
    several = made(5, 300)
    assert {type(one) for one in several} == {Document, Macros, Message}
    assert len({repr(one) for one in several}) > 280


def test_an_input_comes_back_from_its_file(tmp_path):
    several = [*made(6, 60), Document(b"<VAST/>", "a/../b.c "), Macros("[IFA]", {}, (), ("IFA",))]
    for one in several:
        assert inputs.load(inputs.save(one, tmp_path, "x")) == one


def test_some_inputs_break_no_rule(tmp_path):
    assert fuzzing.main(["--inputs", "400", "--seed", "2", "--corpus", str(tmp_path)]) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("parse", lambda data, **_: {}["oops"] if b"Pricing" in data else None),
        ("lint", lambda *_, **__: []),
        ("fill", lambda url, *_, **__: url.replace("[IFA]", "")),
        ("merge", lambda links, **_: checks.way_of(links)),
    ],
)
def test_a_fault_is_found_and_its_input_kept(name, wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, name, wrong)
    assert fuzzing.main(["--inputs", "400", "--seed", "2", "--corpus", str(tmp_path)]) == 1
    kept = list(islice(tmp_path.iterdir(), 3))
    assert all(path.name.startswith("failure-") for path in kept)
    with pytest.raises(Exception):  # noqa: B017, PT011 - any at all is what the rule forbids
        checks.check(inputs.load(kept[0]))


def test_what_shows_something_new_is_kept_on_demand(tmp_path):
    plain, keeping = (str(tmp_path / name) for name in ("plain", "keeping"))
    arguments = ["--inputs", "50", "--seed", "2"]
    assert fuzzing.main([*arguments, "--corpus", plain]) == 0
    assert fuzzing.main([*arguments, "--corpus", keeping, "--keep"]) == 0
    assert not (tmp_path / "plain").exists()
    assert list((tmp_path / "keeping").iterdir())
