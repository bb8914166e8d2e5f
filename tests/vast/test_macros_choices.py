"""The contract's options of macros: what they mean, and what is refused."""

import pytest

from xsp.vast.v1 import macros_pb2 as pb
from xsp_server.vast.macros import Absence, InvalidMacros, MacroChoices, Spelling


def read(**fields):
    return MacroChoices.from_message(pb.MacroOptions(**fields))


def test_nothing_chosen_is_brackets_only_and_no_trackers():
    assert read() == MacroChoices({}, frozenset(), frozenset())


def test_each_kind_of_value_is_read():
    values = {
        "PAGEURL": pb.MacroValue(text="https://e.test/"),
        "MEDIAMIME": pb.MacroValue(items=pb.MacroItems(items=["video/mp4", "video/webm"])),
        "DOMAIN": pb.MacroValue(absence=pb.MACRO_ABSENCE_UNKNOWN),
        "IFA": pb.MacroValue(absence=pb.MACRO_ABSENCE_WITHHELD),
        "ADCOUNT": pb.MacroValue(),
        "CONTENTID": pb.MacroValue(absence=pb.MACRO_ABSENCE_UNSPECIFIED),
    }
    assert read(values=values).given == {
        "PAGEURL": "https://e.test/",
        "MEDIAMIME": ("video/mp4", "video/webm"),
        "DOMAIN": Absence.UNKNOWN,
        "IFA": Absence.WITHHELD,
    }


def test_every_spelling_of_the_contract_has_a_meaning():
    numbers = [number for number in pb.MacroSpelling.values() if number]
    assert read(spellings=numbers).spellings == set(Spelling)
    assert read(spellings=[pb.MACRO_SPELLING_RANDOM]).spellings == {Spelling.RANDOM}


def test_only_what_is_settled_may_be_filled_in_trackers():
    names = ["ADSERVINGID", "UNIVERSALADID", "PODSEQUENCE", "ADTYPE", "TRANSACTIONID"]
    assert read(tracker_macros=names).of_trackers == set(names)


@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        ({"values": {"VENDOR": {"text": "x"}}}, 'macros.values["VENDOR"]', "VAST lists"),
        ({"values": {"pageurl": {"text": "x"}}}, 'macros.values["pageurl"]', "upper case"),
        ({"spellings": [4, 0]}, "macros.spellings[1]", "expected 1 to 4, got 0"),
        ({"spellings": [9]}, "macros.spellings[0]", "got 9"),
        ({"tracker_macros": ["SERVERSIDE"]}, "macros.tracker_macros[0]", "ADSERVINGID, ADTYPE"),
    ],
)
def test_what_the_contract_does_not_have_is_refused_with_its_place(fields, path, expected):
    with pytest.raises(InvalidMacros) as caught:
        read(**fields)
    (violation,) = caught.value.violations
    assert violation.path == path
    assert expected in violation.description
    assert caught.value.reason == "FIELD_INVALID"
