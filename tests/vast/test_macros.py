"""Macros against the facts of the standard, and what filling does to a URL."""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp_server.vast.macros import MACROS, SETTLED, Absence, Kind, MacroValues, Source, Spelling
from xsp_server.vast.macros import fill as fill_macros

FACTS = json.loads((Path(__file__).parents[1] / "data" / "vast_macros.json").read_bytes())
BY_NAME = {fact["name"]: fact for fact in FACTS["macros"]}

KINDS = {"string": Kind.TEXT, "integer": Kind.NUMBER}
SOURCES = {
    "server can (knows it itself)": Source.SERVER,
    "server can if the caller gives it; else player": Source.CALLER,
    "player only, at firing time": Source.PLAYER,
}


def fill(url, values=(), **options):
    return fill_macros(url, dict(values), **options)


def test_the_table_has_the_60_names_of_the_standard_and_no_other():
    assert len(MACROS) == 60
    assert MACROS.keys() == BY_NAME.keys()
    assert all(name == macro.name for name, macro in MACROS.items())


@pytest.mark.parametrize("name", BY_NAME)
def test_the_table_says_of_each_what_the_standard_says(name):
    macro, fact = MACROS[name], BY_NAME[name]
    assert macro.since == {"Next VAST release": "next"}.get(fact["introduced"], fact["introduced"])
    assert macro.kind == KINDS.get(fact["type"], Kind.LIST)
    assert macro.source == SOURCES[fact["filled_by"]]
    assert macro.contexts == set(fact["contexts"])
    assert macro.has_absence == (fact["unknown"] == "-1") == (fact["withheld"] == "-2")


@pytest.mark.parametrize("vector", FACTS["test_vectors"], ids=lambda vector: vector["url"])
def test_each_vector_comes_out_as_it_should(vector):
    withheld = dict.fromkeys(vector.get("withheld", ()), Absence.WITHHELD)
    assert fill(vector["url"], {**vector["values"], **withheld}) == vector["result"]


@pytest.mark.parametrize("name", BY_NAME)
def test_without_a_value_a_name_becomes_minus_1_where_that_is_listed(name):
    stays = not MACROS[name].has_absence or MACROS[name].source is Source.PLAYER
    assert fill(f"http://a.test/?x=[{name}]") == f"http://a.test/?x={f'[{name}]' if stays else -1}"


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize(("absence", "text"), [(Absence.UNKNOWN, "-1"), (Absence.WITHHELD, "-2")])
def test_an_absence_that_is_told_shows_where_it_is_listed(name, absence, text):
    expected = text if BY_NAME[name]["withheld"] else f"[{name}]"
    assert fill(f"[{name}]", {name: absence}) == expected


@pytest.mark.parametrize("name", BY_NAME)
def test_a_value_fills_every_macro_wherever_it_stands(name):
    assert fill(f"http://[{name}].test/[{name}]?a=[{name}]", {name: 7}) == "http://7.test/7?a=7"


@pytest.mark.parametrize("name", ["PLAYERSTATE", "ADPLAYHEAD", "CLICKPOS", "REASON"])
def test_what_only_a_player_can_know_is_left_for_it(name):
    assert MACROS[name].source is Source.PLAYER
    assert fill(f"x=[{name}]") == f"x=[{name}]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a%20b"),
        ("50%", "50%25"),
        ("a%20b", "a%2520b"),
        ("-._~", "-._~"),
        ("!*'()", "%21%2A%27%28%29"),
        ("é", "%C3%A9"),
        ("\ud800", "%3F"),
        (7, "7"),
        (True, "1"),
        (1e-07, "0.0000001"),
        (2e22, "20000000000000000000000"),
        (["a,b", "c"], "a%2Cb,c"),
        (("x",), "x"),
        ([], ""),
        ("", ""),
    ],
)
def test_a_value_is_encoded_once_and_wholly(value, text):
    assert fill("[PAGEURL]", {"PAGEURL": value}) == text


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/v?x=[VENDOR]&y=[]&z=[[&k[0]=1",
        "http://a.test/v?x=[CACHE BUSTING]&y=[CACHEBUSTING",
        "http://a.test/v?x=[cachebusting]&y=[Cachebusting]&z=[RANDOM]",
        "http://a.test/v?x=%%CACHEBUSTING%%&y=%5BCACHEBUSTING%5D&z=${CACHEBUSTING}",
        "http://a.test/v?x={CACHEBUSTING}&y=__CACHEBUSTING__&z=%5Bcachebuster%5D",
        "http://a.test/v?x=%20&y=+&z=é#[",
        "http://[2001:db8::1]/v",
    ],
)
def test_what_is_no_macro_stays_as_it_is(url):
    assert fill(url, {"CACHEBUSTING": "12345678"}) == url


@pytest.mark.parametrize(
    ("text", "spellings"),
    [
        ("%%CACHEBUSTING%%", {Spelling.PERCENT_SIGNS}),
        ("[cachebusting]", {Spelling.LOWER_CASE}),
        ("[cachebuster]", {Spelling.LOWER_CASE}),
        ("%5BCACHEBUSTING%5D", {Spelling.ENCODED_BRACKETS}),
        ("%5bCACHEBUSTING%5d", {Spelling.ENCODED_BRACKETS}),
        ("%5Bcachebuster%5D", {Spelling.ENCODED_BRACKETS, Spelling.LOWER_CASE}),
        ("%5BRANDOM%5D", {Spelling.ENCODED_BRACKETS, Spelling.RANDOM}),
        ("[RANDOM]", {Spelling.RANDOM}),
        ("[random]", {Spelling.RANDOM}),
    ],
)
def test_an_old_spelling_is_filled_only_where_it_is_asked_for(text, spellings):
    values = {"CACHEBUSTING": "12345678"}
    assert (
        fill(f"x={text}&y=[CACHEBUSTING]", values, spellings=spellings) == "x=12345678&y=12345678"
    )
    for spelling in spellings:
        others = set(Spelling) - {spelling}
        assert fill(f"x={text}", values, spellings=others) == f"x={text}"


@pytest.mark.parametrize(
    "text",
    [
        "%%OTHER%%",
        "%%cachebusting%%",
        "%%RANDOM%%",
        "[other]",
        "%5BOTHER%5D",
        "[Random]",
        "[rANDOM]",
    ],
)
def test_with_every_spelling_asked_for_other_names_stay(text):
    assert fill(text, {"CACHEBUSTING": "1"}, spellings=list(Spelling)) == text


def test_a_name_of_an_old_spelling_without_a_value_is_absent_like_any():
    assert fill("%%DOMAIN%% [domain]", spellings=list(Spelling)) == "-1 -1"


def test_what_was_filled_in_is_not_filled_again():
    values = {"PAGEURL": "[CACHEBUSTING]%%CACHEBUSTING%%", "CACHEBUSTING": "1"}
    filled = fill("[PAGEURL]", values, spellings=list(Spelling))
    assert filled == "%5BCACHEBUSTING%5D%25%25CACHEBUSTING%25%25"


def test_only_the_names_asked_for_are_filled():
    url = "[ADSERVINGID] [DOMAIN] [PODSEQUENCE]"
    assert fill(url, {"ADSERVINGID": "a", "DOMAIN": "d"}, only=SETTLED) == "a [DOMAIN] -1"


def test_a_caller_who_joins_with_underscores_gives_one_text():
    assert fill("[DSAPARAMS]", {"DSAPARAMS": "1_2"}) == "1_2"
    assert fill("[DSAPARAMS]", {"DSAPARAMS": [1, 2]}) == "1,2"


def test_given_values_come_before_made_ones_and_made_ones_before_worked_out_ones():
    values = MacroValues(
        {"TIMESTAMP": "given"}, work_out=lambda: {"DOMAIN": "out", "ERRORCODE": 1, "TIMESTAMP": "x"}
    )
    url = "[TIMESTAMP] [ERRORCODE] [DOMAIN]"
    assert fill_macros(url, values) == "given 1 out"
    made = values.made({"ERRORCODE": 301, "TIMESTAMP": "made"})
    assert fill_macros(url, made) == "given 301 out"
    assert fill_macros(url, made.made({"ERRORCODE": 303})) == "given 303 out"
    assert fill_macros(url, made) == "given 301 out"
    assert fill_macros(url, values) == "given 1 out"


def test_what_the_chain_itself_knows_is_not_overridden():
    names = ("ERRORCODE", "ADSERVINGID", "BLOCKEDADCATEGORIES")
    values = MacroValues(dict.fromkeys((*names, "PODSEQUENCE"), "given"))
    url = "".join(f"[{name}]" for name in (*names, "PODSEQUENCE"))
    assert fill_macros(url, values) == "givengivengivengiven"
    made = values.made({"ERRORCODE": 301, "ADSERVINGID": "s", "PODSEQUENCE": 2})
    assert fill_macros(url, made) == "301sgivengiven"
    assert fill_macros(url, values.made(dict.fromkeys(names, Absence.UNKNOWN))) == "given" * 4
    assert fill_macros(url, values) == "given" * 4


def test_names_that_are_not_listed_have_no_text_whatever_is_given():
    values = MacroValues({"VENDOR": "x"})
    assert values.text("VENDOR") is None
    assert fill_macros("[VENDOR]", values) == "[VENDOR]"


def test_values_are_worked_out_once_and_only_where_a_url_asks():
    asked = []

    def work_out():
        asked.append(None)
        return {"DOMAIN": "d.test"}

    values = MacroValues({"CACHEBUSTING": "1"}, work_out=work_out)
    made = values.made({"ERRORCODE": 2})
    assert fill_macros("x", values) == "x"
    assert fill_macros("[CACHEBUSTING][VENDOR][ERRORCODE]", made) == "1[VENDOR]2"
    assert asked == []
    assert fill_macros("[DOMAIN][PAGEURL]", made) == "d.test-1"
    assert fill_macros("[DOMAIN]", values) == "d.test"
    assert len(asked) == 1


NAMES = st.sampled_from(sorted(MACROS))
PIECES = st.one_of(
    st.text(max_size=8),
    NAMES.map("[{}]".format),
    NAMES.map("%%{}%%".format),
    NAMES.map("%5B{}%5D".format),
    NAMES.map(lambda name: f"[{name.lower()}]"),
    st.sampled_from(["[", "]", "%", "%%", "%5B", "%5D", "[RANDOM]", "[random]", "[[", "[A"]),
)
VALUES = st.one_of(
    st.text(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(max_size=5), max_size=3),
    st.sampled_from(Absence),
)


@given(
    st.lists(PIECES).map("".join),
    st.dictionaries(NAMES, VALUES),
    st.sets(st.sampled_from(Spelling)),
)
def test_any_text_is_filled_without_an_error_and_its_other_parts_stay(url, values, spellings):
    filled = fill(url, values, spellings=spellings)
    if not values:
        assert fill(filled, values, spellings=spellings) == filled
    if "[" not in url and "%" not in url:
        assert filled == url


@given(NAMES, st.text().filter(lambda text: text.isprintable()))
def test_a_value_comes_back_by_decoding_once(name, text):
    filled = fill(f"http://a.test/?x=[{name}]&y", {name: text})
    assert unquote(filled.removeprefix("http://a.test/?x=").removesuffix("&y")) == text
