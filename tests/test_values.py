"""Values: as a frozen dataclass to read, compare and copy, and cheaper to make."""

from dataclasses import field, replace

from xsp_server.values import value


@value
class Place:
    """What the tests make."""

    name: str
    number: int = 0
    note: str = field(default="", repr=False, compare=False)


def test_values_are_equal_by_their_fields_and_have_the_same_hash():
    assert Place("a", 1, "x") == Place("a", 1, "y") != Place("a", 2, "x")
    assert len({Place("a", 1, "x"), Place("a", 1, "y"), Place("a", 2)}) == 2


def test_a_value_shows_its_fields_and_is_copied_with_others():
    assert repr(replace(Place("a", note="x"), number=3)) == "Place(name='a', number=3)"


def test_a_value_has_its_fields_and_no_room_for_more():
    assert not hasattr(Place("a"), "__dict__")
