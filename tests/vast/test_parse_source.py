"""From bytes to a tree: encodings, what is refused and why, and what hostile documents cost."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast.documents import inline, message
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.faults import CODES, VastUnreadable
from xsp_server.vast.limits import Limits
from xsp_server.vast.lint import lint
from xsp_server.vast.parse import parse
from xsp_server.vast.render import render
from xsp_server.vast.schema import VERSIONS

TITLE = "Größe Ω ж"


def document(declaration="", title=TITLE):
    return declaration + inline(f"<AdTitle>{title}</AdTitle>", version="3.0").decode()


def title_of(data, **options):
    return parse(data, **options).ads[0].inline.ad_title


def declared(encoding):
    return f'<?xml version="1.0" encoding="{encoding}"?>'


def refusal(data, **options):
    with pytest.raises(VastUnreadable) as caught:
        parse(data, **options)
    assert caught.value.code == CODES[caught.value.rule]
    assert caught.value.metadata["code"] == str(caught.value.code)
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding_whatever_else_is_said(encoding):
    data = document(declared("iso-8859-1")).encode(encoding)
    assert title_of(data) == title_of(data, charset="windows-1252") == TITLE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_known_without_a_mark(encoding):
    assert title_of(document("\n" + declared("UTF-16")).encode(encoding)) == TITLE


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("ISO-8859-1", "Größe"),
        ("windows-1251", "жук"),
        ("Shift_JIS", "漢字"),
        ("GB18030", "漢字"),
        ("us-ascii", "plain"),
    ],
)
def test_the_declared_encoding_is_read(encoding, title):
    assert title_of(document(declared(encoding), title).encode(encoding)) == title
    assert title_of(("\r\n" + document(declared(encoding), title)).encode(encoding)) == title


def test_the_word_from_outside_goes_before_the_declaration():
    data = document(declared("ISO-8859-1"), "жук").encode("windows-1251")
    assert title_of(data, charset='"Windows-1251"') == "жук"


@pytest.mark.parametrize("charset", ["no-such", "utf-7", "hex", "idna", "", "\0", "utf-16"])
def test_a_charset_that_is_none_or_cannot_be_is_passed_over(charset):
    assert title_of(document().encode(), charset=charset) == TITLE


def test_a_charset_that_the_bytes_do_not_fit_is_passed_over():
    data = document(declared("windows-1252"), "Größe").encode("windows-1252")
    assert title_of(data, charset="utf-8") == "Größe"
    assert title_of(document(title="Größe").encode(), charset="ascii") == "Größe"


def test_a_document_that_says_utf_16_and_is_utf_8_is_read():
    assert title_of(document(declared("utf-16")).encode()) == TITLE


@pytest.mark.parametrize("junk", ["\n\n  ", "\ufeff", "\n\ufeff \t", "\u00a0\u200b"])
def test_blank_lines_and_marks_before_the_declaration_are_passed_over(junk):
    assert title_of((junk + document(declared("UTF-8"))).encode()) == TITLE


def test_xml_1_1_is_read_as_1_0():
    assert title_of(document('<?xml version="1.1"?>').encode()) == TITLE


def test_bytes_that_fit_no_encoding_are_malformed():
    error = refusal(b"<?xml version='1.0'?>\n<VAST>\xff</VAST>")
    assert error.rule == lists.FAILURE_REASON_XML_MALFORMED
    assert error.code == 100
    assert refusal(b"<VAST>\xff</VAST>").code == 100


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"no ad",
        b"{}",
        b"<VAST>",
        b"<VAST></Vast>",
        b"<VAST>&nbsp;</VAST>",
        b"<VAST a=1/>",
        b"<VAST a='1' a='2'/>",
        b"<VAST/><VAST/>",
        b"<VAST>\x01</VAST>",
        b"<html><br></html>",
    ],
)
def test_what_is_not_well_formed_is_refused_with_100(data):
    error = refusal(data)
    assert error.rule == lists.FAILURE_REASON_XML_MALFORMED
    assert error.code == 100


def test_the_line_of_a_fault_counts_blank_lines_before_the_document():
    error = refusal(b"\n\n<?xml version='1.0'\n encoding='UTF-8'?>\n<VAST>\n<Ad></VAST>")
    assert error.line == 6
    assert error.metadata["line"] == "6"
    assert "line 6" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"<VideoAdServingTemplate/>",
        b"<VAST version='1.0'/>",
        b"<VAST version='1.1.2'/>",
        b"<VAST version='5.0'/>",
        b"<VAST version='12'/>",
        b"<VAST version='0'/>",
    ],
)
def test_other_versions_are_refused_with_102(data):
    error = refusal(data)
    assert error.rule == lists.FAILURE_REASON_VERSION_REFUSED
    assert error.code == 102


@pytest.mark.parametrize(
    "data", [b"<html/>", b"<vast/>", b"<vmap:VMAP xmlns:vmap='x'/>", b"<MPD/>"]
)
def test_another_root_is_refused_with_101(data):
    error = refusal(data)
    assert error.rule == lists.FAILURE_REASON_NOT_VAST
    assert error.code == 101


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE VAST>",
        f"<!DOCTYPE VAST [{BOMB}]>",
        '<!DOCTYPE VAST [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE VAST [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
        '<!DOCTYPE VAST SYSTEM "http://127.0.0.1:9/x.dtd">',
        "<!-- c --><?pi?> <!DOCTYPE VAST>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_declaration_is_refused(doctype, encoding):
    data = f"{doctype}<VAST version='4.2'>&f;&e9;</VAST>".encode(encoding)
    error = refusal(data)
    assert error.rule == lists.FAILURE_REASON_DOCTYPE_REFUSED
    assert error.code == 100


def test_a_document_type_in_cdata_is_text():
    html = "<!DOCTYPE html><p>1 &lt; 2</p>"
    assert title_of(inline(f"<AdTitle><![CDATA[{html}]]></AdTitle>")) == html


def test_more_bytes_than_allowed_are_refused_before_they_are_read():
    error = refusal(b"<" * 101, limits=Limits(max_bytes=100))
    assert error.rule == lists.FAILURE_REASON_BODY_TOO_LARGE
    assert error.code == 301
    parse(b"<VAST/>" + b" " * 93, limits=Limits(max_bytes=100))


def test_more_elements_and_attributes_than_allowed_are_refused():
    limits = Limits(max_elements=10)
    parse(b"<VAST>" + b"<Ad id='1'/>" * 4 + b"</VAST>", limits=limits)
    error = refusal(b"<VAST>" + b"<Ad id='1'/>" * 5 + b"</VAST>", limits=limits)
    assert error.rule == lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX
    assert error.code == 100


def test_markup_in_cdata_comments_and_instructions_is_not_counted():
    inside = b"<a b='1'/>" * 20
    data = b"<VAST><![CDATA[" + inside + b"]]><!--" + inside + b"--><?x " + inside + b"?></VAST>"
    parse(data, limits=Limits(max_elements=3))


@pytest.mark.parametrize("depth", [63, 65])
def test_deeper_nesting_than_allowed_is_refused(depth):
    inside = b"<x>" * (depth - 1) + b"</x>" * (depth - 1)
    data = b"<VAST>" + inside + b"</VAST>"
    if depth < 64:
        assert parse(data).unknown
        return
    assert refusal(data).rule == lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX


def test_a_depth_below_that_of_vast_itself_holds_too():
    data = b"<VAST><Ad><InLine/></Ad></VAST>"
    parse(data, limits=Limits(max_depth=3))
    assert refusal(data, limits=Limits(max_depth=2)).code == 100


HOSTILE = {
    "a million empty ads": b"<VAST>" + b"<Ad/>" * 1_000_000 + b"</VAST>",
    "64 MB of text": b"<VAST>" + b"x" * (64 << 20) + b"</VAST>",
    "as many empty ads as bytes allow": b"<VAST>" + b"<Ad/>" * 209_000 + b"</VAST>",
    "as many ads as are allowed": b"<VAST>" + b"<Ad/>" * 49_000 + b"</VAST>",
    "as many strangers as are allowed": b"<VAST>" + b"<a/>" * 49_000 + b"</VAST>",
    "attributes": b"<VAST " + b" ".join(b"a%d=''" % n for n in range(49_000)) + b"/>",
    "nesting": b"<VAST>" + b"<a>" * 49_000 + b"</a>" * 49_000 + b"</VAST>",
    "nesting without end": b"<VAST>" + b"<a>" * 340_000,
    "comments": b"<VAST>" + b"<!---->" * 140_000 + b"</VAST>",
    "declarations": b"<VAST><Ad>" + b"<a xmlns:x='y'><b/></a>" * 20_000 + b"</Ad></VAST>",
    "an open comment": b"<!--" * 260_000,
    "open instructions": b"<?a " * 260_000,
    "open tags": b"<a " * 340_000,
    "open quotes": b"<VAST a='" + b'<b c="' * 170_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_read_or_refused_in_no_time(name):
    started = time.process_time()
    with contextlib.suppress(VastUnreadable):
        parse(HOSTILE[name])
    assert time.process_time() - started < 3


def test_hostile_documents_hold_no_memory():
    """A fresh process reads them all, many times with new names, and stays below 64 MB more."""
    code = """
import sys
sys.path[:0] = [TESTS]
from vast.hostile import peak_mib
from vast.test_parse_source import HOSTILE
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.parse import parse
before = peak_mib()
for data in HOSTILE.values():
    try:
        parse(data)
    except VastUnreadable:
        pass
names = 0
for _ in range(60):
    tags = "".join(f"<n{number:040}/>" for number in range(names, names + 5000))
    names += 5000
    parse(f"<VAST>{tags}</VAST>".encode())
print(peak_mib() - before)
""".replace("TESTS", repr(str(Path(__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(done.stdout) < 64


def test_limits_are_the_documented_ones():
    assert Limits() == Limits(max_bytes=1_048_576, max_depth=64, max_elements=50_000)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.one_of(st.none(), st.text(max_size=12)))
def test_any_bytes_are_a_message_or_our_error(data, charset):
    read_or_refused(data, charset)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**63),
    st.sampled_from(VERSIONS),
    st.lists(
        st.tuples(st.integers(0, 2**16), st.integers(0, 8), st.binary(max_size=6)), max_size=5
    ),
)
def test_any_damage_to_a_document_is_a_message_or_our_error(seed, version, damages):
    data = bytearray(render(message(seed, version)).xml.encode())
    for place, length, replacement in damages:
        start = place % len(data)
        data[start : start + length] = replacement
    read_or_refused(bytes(data), None)


def read_or_refused(data, charset):
    try:
        read = parse(data, charset=charset)
    except VastUnreadable:
        with pytest.raises(VastUnreadable):
            lint(data, charset=charset)
        return
    lint(data, charset=charset)
    again = parse(render(read, version=42).xml.encode())
    assert render(again, version=42).xml == render(read, version=42).xml
