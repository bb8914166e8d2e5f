"""Messages as documents: the same message comes back, valid for its version."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast.documents import facts_of, inline, message, messages, samples
from xsp.vast.v1 import vast_pb2
from xsp.vast.v1 import violations_pb2 as v
from xsp_server.vast.faults import VastUnwritable
from xsp_server.vast.lint import lint
from xsp_server.vast.parse import parse
from xsp_server.vast.render import render, render_whole
from xsp_server.vast.schema import VERSIONS, name_of

SCHEMAS = {
    20: "vast_2.0.1.xsd",
    30: "vast3_draft.xsd",
    40: "vast4.xsd",
    41: "vast_4.1.xsd",
    42: "vast_4.2.xsd",
}


def written(vast, **options):
    return render(vast, **options).xml


def left_out(vast, **options):
    return [(each.path, each.rule) for each in render(vast, **options).violations]


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=120, deadline=None)
@given(st.data(), st.booleans())
def test_a_message_comes_back_as_it_was(version, data, indent):
    original = data.draw(messages(version))
    rendered = render(original, indent=indent)
    assert parse(rendered.xml.encode()) == original
    assert not rendered.violations


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_message_that_some_version_holds_comes_back_whole(version, data):
    original = data.draw(messages(version))
    rendered = render_whole(original, VERSIONS[0])
    read = parse(rendered.xml.encode())
    assert read.version <= original.version
    read.version = original.version
    assert read == original


@pytest.mark.parametrize(
    ("content", "lowest", "chosen"),
    [
        ("<Error>1</Error>", 20, "2.0"),
        ("<Error>1</Error>", 42, "4.2"),
        ("<Error>1</Error><Error>2</Error>", 20, "4.0"),
        ("<Pricing>1</Pricing>", 20, "3.0"),
        ("<Expires>1</Expires>", 30, "4.1"),
        ("<Survey>1</Survey><Survey>2</Survey>", 20, "4.3"),
    ],
)
def test_the_lowest_version_that_holds_all_is_chosen(content, lowest, chosen):
    vast = parse(inline(content, "2.0"))
    rendered = render_whole(vast, lowest)
    assert parse(rendered.xml.encode()).version == chosen
    assert vast.version == "2.0"
    assert all(each.HasField("line") for each in rendered.violations)


FLASH = "<Verification><FlashResource>f</FlashResource>{}</Verification>"
EXTENSION = "<CreativeExtensions><CreativeExtension>x</CreativeExtension></CreativeExtensions>"
LINEAR = f"<Creatives><Creative><Linear>{EXTENSION}</Linear></Creative></Creatives>"
OLD_ID = '<UniversalAdId idRegistry="r" idValue="v">1</UniversalAdId>'


@pytest.mark.parametrize(
    ("content", "chosen", "lost"),
    [
        # Nothing that is requested goes, though 3.0 would lose no more in number.
        (f"<Error>1</Error><Error>2</Error>{LINEAR}", "4.0", ["CreativeExtension"]),
        (f"<ViewableImpression><Viewable>1</Viewable></ViewableImpression>{LINEAR}", "4.0", None),
        # Rather an attribute than an element.
        (f"<Creatives><Creative>{OLD_ID * 2}</Creative></Creatives>", "4.2", ["@idValue"] * 2),
        # Of versions that lose as much, the lowest.
        (
            "<AdVerifications>"
            + FLASH.format("<VerificationParameters>p</VerificationParameters>")
            + "</AdVerifications>",
            "4.0",
            ["VerificationParameters"],
        ),
    ],
)
def test_where_no_version_holds_all_the_one_that_loses_least_is_chosen(content, chosen, lost):
    rendered = render_whole(parse(inline(content, "2.0")), VERSIONS[0])
    assert parse(rendered.xml.encode()).version == chosen
    gone = [each.path.rpartition("/")[2] for each in rendered.violations if not each.line]
    assert gone == (lost or ["CreativeExtension"])


@pytest.mark.parametrize("version", SCHEMAS)
def test_what_is_written_is_valid_by_the_schema(version):
    folder = os.environ.get("XSP_VAST_XSD")
    if not folder:
        pytest.skip("no schemas: XSP_VAST_XSD names no folder")
    etree = pytest.importorskip("lxml.etree")
    schema = etree.XMLSchema(etree.parse(Path(folder) / SCHEMAS[version]))
    for seed in range(200):
        original = message(seed, version, valid=True)
        xml = written(original, indent=bool(seed % 2)).encode()
        schema.assertValid(etree.fromstring(xml))
        assert parse(xml) == original


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_of_a_valid_message_has_no_errors(version, data):
    xml = written(data.draw(messages(version, valid=True)))
    errors = [each for each in lint(xml.encode()) if each.severity == v.VIOLATION_SEVERITY_ERROR]
    allowed = {v.VIOLATION_RULE_TRACKING_EVENT}
    assert [each for each in errors if each.rule not in allowed] == []


def test_samples_come_back_as_they_were():
    for path, facts in facts_of(samples("vast", "XSP_VAST_SAMPLES")).items():
        if facts["root"] == "VAST":
            original = parse(path.read_bytes())
            assert parse(written(original, indent=True).encode()) == original, path


@pytest.mark.parametrize("version", VERSIONS)
def test_the_namespace_is_that_of_the_version(version):
    xml = written(vast_pb2.Vast(), version=version)
    assert ('xmlns="http://www.iab.com/VAST"' in xml) == (version >= 40)
    assert f'version="{name_of(version)}"' in xml
    assert lint(xml.encode()) == []


def test_the_version_is_the_messages_own_and_as_written():
    assert 'version="2.0.1"' in written(vast_pb2.Vast(version="2.0.1"))
    assert 'version="4.2"' in written(vast_pb2.Vast(version="2.0.1"), version=42)


@pytest.mark.parametrize("version", ["", "1.0", "4.4", "x"])
def test_a_message_of_no_known_version_cannot_be_written_as_it_is(version):
    with pytest.raises(VastUnwritable, match="expected 2") as caught:
        render(vast_pb2.Vast(version=version))
    assert caught.value.reason == "VAST_UNWRITABLE"
    with pytest.raises(VastUnwritable):
        render(vast_pb2.Vast(version="4.2"), version=11)


def test_the_message_is_not_changed():
    vast = vast_pb2.Vast(version="4.2")
    render(vast, version=20)
    assert vast == vast_pb2.Vast(version="4.2")


def test_attributes_have_the_spelling_of_the_version():
    vast = parse(inline('<Creatives><Creative adId="1"/></Creatives>', version="4.2"))
    for version in VERSIONS:
        assert (' AdID="1"' in written(vast, version=version)) == (version < 40)
        assert (' adId="1"' in written(vast, version=version)) == (version >= 40)
    companion = '<CompanionAds><Companion adSlotId="1" width="1" height="1"/></CompanionAds>'
    vast = parse(inline(f"<Creatives><Creative>{companion}</Creative></Creatives>"))
    spelled = [version for version in VERSIONS if "adSlotID" in written(vast, version=version)]
    assert spelled == [40]


def test_what_the_version_cannot_hold_is_left_out_and_listed():
    vast = parse(
        inline(
            "<AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression/><AdServingId>x</AdServingId>"
            "<AdVerifications><Verification/></AdVerifications><Error>1</Error><Error>2</Error>"
            "<Creatives><Creative adId='1' apiFramework='x'/></Creatives>"
        )
    )
    ad = "VAST/Ad[1]/InLine"
    assert set(left_out(vast, version=20)) == {
        (f"{ad}/AdServingId", v.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION),
        (f"{ad}/AdVerifications/Verification", v.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION),
        (f"{ad}/Error[2]", v.VIOLATION_RULE_ELEMENT_REPEATED),
        (f"{ad}/Creatives/Creative[1]/@apiFramework", v.VIOLATION_RULE_ATTRIBUTE_NOT_IN_VERSION),
    }
    with pytest.raises(VastUnwritable, match="AdServingId") as caught:
        render(vast, version=20, strict=True)
    assert len(caught.value.deviations) == 4
    assert render(vast, version=42, strict=True)
    for each in render(vast, version=20).violations:
        assert not each.HasField("line")
        assert each.severity == v.VIOLATION_SEVERITY_ERROR


def test_what_the_version_requires_and_the_message_lacks_is_listed_with_its_line():
    vast = vast_pb2.Vast(version="4.2")
    vast.ads.add().inline.pricing.value = "1"
    vast.ads.add()
    vast.ads.add().wrapper.SetInParent()
    rendered = render(vast, indent=True)
    found = {(each.path, each.rule, each.line) for each in rendered.violations}
    lines = rendered.xml.split("\n")
    ad = "VAST/Ad[1]/InLine"
    pricing = next(i for i, line in enumerate(lines, 1) if "<Pricing" in line)
    missing = v.VIOLATION_RULE_ELEMENT_MISSING
    assert (f"{ad}/Creatives", missing) in {each[:2] for each in found}
    assert (f"{ad}/AdSystem", missing, 4) in found
    assert (f"{ad}/Pricing/@model", v.VIOLATION_RULE_ATTRIBUTE_MISSING, pricing - 1) in found
    assert ("VAST/Ad[2]", v.VIOLATION_RULE_AD_CONTENT) in {each[:2] for each in found}
    assert ("VAST/Ad[3]/Wrapper/VASTAdTagURI", missing) in {each[:2] for each in found}
    assert render(vast, strict=True).xml == render(vast).xml


def test_an_empty_group_that_the_schema_wants_is_written():
    vast = vast_pb2.Vast(version="2.0")
    vast.ads.add(id="1").wrapper.vast_ad_tag_uri = "https://e.com/"
    assert "<Creatives></Creatives>" in written(vast)
    assert "Creatives" not in written(vast, version=42)


@pytest.mark.parametrize(
    ("text", "xml"),
    [
        ("a", "a"),
        ("a>b", "a&gt;b"),
        ("a&b", "<![CDATA[a&b]]>"),
        ("<]]>", "<![CDATA[<]]]]><![CDATA[>]]>"),
        ("a&\rb", "a&amp;&#13;b"),
    ],
)
def test_text_with_markup_is_cdata_and_its_end_is_divided(text, xml):
    vast = vast_pb2.Vast(version="3.0", errors=[text])
    assert f"<Error>{xml}</Error>" in written(vast)
    assert parse(written(vast).encode()).errors == [text]


@pytest.mark.parametrize("character", ["\0", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_hold_are_replaced_and_listed(character):
    vast = vast_pb2.Vast(version="4.0", errors=[f"a{character}b"])
    vast.ads.add(id=f"c{character}")
    read = parse(written(vast).encode())
    assert read.errors == ["a\ufffdb"]
    assert read.ads[0].id == "c\ufffd"
    assert ("VAST/Error[1]", v.VIOLATION_RULE_ELEMENT_VALUE) in left_out(vast)
    with pytest.raises(VastUnwritable):
        render(vast, strict=True)


@pytest.mark.parametrize(
    "xml", ["<a>", "</Extension><Ad/>", "&nbsp;", "<p:a/>", "\0", "]]>", "<a b=1/>", "<!DOCTYPE a>"]
)
def test_content_that_would_break_the_document_is_left_out(xml):
    vast = vast_pb2.Vast(version="4.0")
    vast.ads.add().wrapper.extensions.add(xml=xml, type="t")
    vast.unknown.add(xml=xml)
    read = parse(written(vast).encode())
    assert not read.unknown
    assert read.ads[0].wrapper.extensions[0] == vast_pb2.Extension(xml="", type="t")
    assert ("VAST", v.VIOLATION_RULE_ELEMENT_VALUE) in left_out(vast)
    where = "VAST/Ad[1]/Wrapper/Extensions/Extension[1]"
    assert (where, v.VIOLATION_RULE_ELEMENT_VALUE) in left_out(vast)


@pytest.mark.parametrize("name", ["", "a b", "1", "a=", "xmlns", "a:b", "é/", "version"])
def test_attributes_that_cannot_be_are_left_out(name):
    vast = vast_pb2.Vast(version="4.0")
    vast.unknown.add().attribute.name = name
    assert parse(written(vast).encode()) == vast_pb2.Vast(version="4.0")
    assert (f"VAST/@{name}", v.VIOLATION_RULE_ATTRIBUTE_VALUE) in left_out(vast)


def test_attributes_of_any_namespace_and_alphabet_come_back():
    vast = vast_pb2.Vast(version="4.0")
    for space in ("urn:a", "urn:b", "http://www.w3.org/2001/XMLSchema-instance"):
        for name in ("größe", "x"):
            attribute = vast.unknown.add().attribute
            attribute.namespace, attribute.name, attribute.value = space, name, "\t1\n"
    language = vast.unknown.add().attribute
    language.namespace = "http://www.w3.org/XML/1998/namespace"
    language.name, language.value = "lang", "en"
    assert parse(written(vast).encode()) == vast
    assert not left_out(vast)


def test_what_stood_on_an_element_that_is_not_written_is_listed():
    vast = vast_pb2.Vast(version="2.0")
    vast.unknown.add(path="Error[2]").attribute.name = "x"
    vast.unknown.add()
    assert left_out(vast) == [("VAST/Error[2]", v.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION)]


def test_a_group_is_written_for_what_stood_on_it():
    vast = vast_pb2.Vast(version="4.2")
    linear = vast.ads.add().wrapper.creatives.add().linear
    linear.unknown.add(path="TrackingEvents").attribute.name = "x"
    linear.unknown[0].attribute.value = "1"
    linear.unknown.add(path="TrackingEvents", xml="<Foo/>")
    assert parse(written(vast).encode()) == vast


def test_icons_are_all_written_though_some_schemas_allow_one():
    vast = vast_pb2.Vast(version="4.0")
    linear = vast.ads.add().wrapper.creatives.add().linear
    linear.icons.add(program="a")
    linear.icons.add(program="b")
    assert parse(written(vast).encode()) == vast


def test_indented_xml_is_for_readers_and_plain_xml_is_one_line():
    vast = parse(inline("<AdTitle>t</AdTitle>"))
    assert "\n" not in written(vast)
    assert "\n    <InLine>\n      <AdTitle>t</AdTitle>\n" in written(vast, indent=True)
