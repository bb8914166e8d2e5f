"""Every rule of the standard has a document that breaks it, and is told with line and path."""

import pytest

from vast.documents import facts_of, inline, samples
from xsp.vast.v1 import violations_pb2 as v
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.lint import lint
from xsp_server.vast.schema import VERSIONS

ERROR = v.VIOLATION_SEVERITY_ERROR
WARNING = v.VIOLATION_SEVERITY_WARNING
NOTE = v.VIOLATION_SEVERITY_NOTE
IAB = ' xmlns="http://www.iab.com/VAST"'


def document(content, version="4.2", *, space=None):
    space = (IAB if version >= "4" else "") if space is None else space
    return f'<VAST version="{version}"{space}>\n{content}\n</VAST>'.encode()


def ad(content, version="4.2", attributes='id="1"'):
    """A document with an InLine that has all it needs, and some content besides."""
    serving = "<AdServingId>s</AdServingId>" if version >= "4.1" else ""
    base = f"<AdSystem>s</AdSystem><Impression>i</Impression>{serving}<AdTitle>t</AdTitle>"
    if version < "4":
        base = "<AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>i</Impression>"
    return document(f"<Ad {attributes}><InLine>{base}\n{content}</InLine></Ad>", version)


def linear(content, version="4.2"):
    """An ad whose one creative is a linear, with some content before its files."""
    value = ' idValue="1"' if version == "4.0" else ""
    number = f'<UniversalAdId idRegistry="r"{value}>1</UniversalAdId>' if version >= "4" else ""
    file = '<MediaFile delivery="progressive" type="t" width="1" height="1">u</MediaFile>'
    files = f"<Duration>00:00:15</Duration><MediaFiles>{file}</MediaFiles>"
    parts = f"{content}{files}" if version >= "4" else f"<Duration>00:00:15</Duration>{content}"
    return ad(
        f"<Creatives><Creative><Linear>{parts}</Linear>{number}</Creative></Creatives>", version
    )


def found(data):
    return {(each.rule, each.path, each.line, each.severity) for each in lint(data)}


def rules(data):
    return {each.rule for each in lint(data)}


AD = "VAST/Ad[1]/InLine"
LINEAR = f"{AD}/Creatives/Creative[1]/Linear"
TRACKING = f"{LINEAR}/TrackingEvents/Tracking[1]"

BROKEN = [
    (v.VIOLATION_RULE_VERSION, b"<VAST/>", "VAST/@version", 1, ERROR),
    (v.VIOLATION_RULE_VERSION, document("", "4.4"), "VAST/@version", 1, ERROR),
    (v.VIOLATION_RULE_NAMESPACE, document("", "4.0", space=""), "VAST", 1, ERROR),
    (v.VIOLATION_RULE_NAMESPACE, document("", "3.0", space=IAB), "VAST", 1, ERROR),
    (
        v.VIOLATION_RULE_NAMESPACE,
        ad('<x:Description xmlns:x="urn:x"/>'),
        f"{AD}/Description",
        3,
        ERROR,
    ),
    (v.VIOLATION_RULE_ELEMENT_MISSING, ad(""), f"{AD}/Creatives", 2, ERROR),
    (v.VIOLATION_RULE_ELEMENT_UNKNOWN, ad("<Foo/>"), f"{AD}/Foo", 3, ERROR),
    (
        v.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION,
        ad("<AdServingId/>", "4.0"),
        f"{AD}/AdServingId",
        3,
        ERROR,
    ),
    (v.VIOLATION_RULE_ELEMENT_MISPLACED, ad("<Duration/>"), f"{AD}/Duration", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_REPEATED, ad("<AdTitle/>"), f"{AD}/AdTitle[2]", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_REPEATED, ad("<Error>1</Error><Error>2</Error>", "3.0"),
     f"{AD}/Error[2]", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_ORDER, ad("<Error>e</Error>"), f"{AD}/Error[1]", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_SPELLING, ad("<adtitle/>"), f"{AD}/adtitle", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_VALUE, ad("<Expires>soon</Expires>"), f"{AD}/Expires", 3, ERROR),
    (v.VIOLATION_RULE_ELEMENT_VALUE, ad("<Error/>"), f"{AD}/Error[1]", 3, WARNING),
    (v.VIOLATION_RULE_ELEMENT_VALUE, ad("text"), AD, 2, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_MISSING, ad("<Category>c</Category>"),
     f"{AD}/Category[1]/@authority", 3, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_UNKNOWN, ad("<AdSystem x='1'/>"), f"{AD}/AdSystem[2]/@x", 3, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_NOT_IN_VERSION, ad("", "2.0", 'id="1" sequence="1"'),
     "VAST/Ad[1]/@sequence", 2, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_SPELLING, ad("", attributes='adtype="video"'),
     "VAST/Ad[1]/@adtype", 2, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_VALUE, ad("", attributes='adType="film"'),
     "VAST/Ad[1]/@adType", 2, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_VALUE, ad("", attributes='sequence="x"'),
     "VAST/Ad[1]/@sequence", 2, ERROR),
    (v.VIOLATION_RULE_ATTRIBUTE_VALUE, ad("<Pricing model='CPX' currency='USD'>1</Pricing>"),
     f"{AD}/Pricing/@model", 3, ERROR),
    (v.VIOLATION_RULE_AD_CONTENT, document("<Ad/>"), "VAST/Ad[1]", 2, ERROR),
    (v.VIOLATION_RULE_AD_CONTENT, document("<Ad><InLine/><Wrapper/></Ad>"), "VAST/Ad[1]", 2, ERROR),
    (v.VIOLATION_RULE_AD_AND_ERROR, document("<Ad/><Error>e</Error>"), "VAST/Error[1]", 2, ERROR),
    (v.VIOLATION_RULE_AD_SEQUENCE, ad("", attributes='sequence="0"'),
     "VAST/Ad[1]/@sequence", 2, WARNING),
    (v.VIOLATION_RULE_AD_SEQUENCE, document("<Ad sequence='2'/>\n<Ad sequence='2'/>"),
     "VAST/Ad[2]/@sequence", 3, WARNING),
    (v.VIOLATION_RULE_CREATIVE_CONTENT,
     ad("<Creatives><Creative><CompanionAds/><Linear/></Creative></Creatives>", "4.1"),
     f"{AD}/Creatives/Creative[1]", 3, WARNING),
    (v.VIOLATION_RULE_CREATIVE_CONTENT,
     ad("<Creatives><Creative><CompanionAds/><Linear/></Creative></Creatives>", "3.0"),
     f"{AD}/Creatives/Creative[1]", 3, ERROR),
    (v.VIOLATION_RULE_TRACKING_OFFSET,
     linear("<TrackingEvents><Tracking event='progress'>u</Tracking></TrackingEvents>"),
     f"{TRACKING}/@offset", 3, WARNING),
    (v.VIOLATION_RULE_TRACKING_OFFSET,
     linear("<TrackingEvents><Tracking event='start' offset='1%'>u</Tracking></TrackingEvents>"),
     f"{TRACKING}/@offset", 3, WARNING),
    (v.VIOLATION_RULE_TRACKING_EVENT,
     linear("<TrackingEvents><Tracking event='creativeView'>u</Tracking></TrackingEvents>"),
     f"{TRACKING}/@event", 3, WARNING),
    (v.VIOLATION_RULE_TRACKING_EVENT,
     linear("<TrackingEvents><Tracking event='fullscreen'>u</Tracking></TrackingEvents>"),
     f"{TRACKING}/@event", 3, ERROR),
    (v.VIOLATION_RULE_TRACKING_EVENT,
     ad("<AdVerifications><Verification><TrackingEvents><Tracking event='start'>u</Tracking>"
        "</TrackingEvents></Verification></AdVerifications>"),
     f"{AD}/AdVerifications/Verification[1]/TrackingEvents/Tracking[1]/@event", 3, WARNING),
    (v.VIOLATION_RULE_AD_SERVING_ID,
     document("<Ad><InLine><AdServingId>a</AdServingId></InLine></Ad>\n"
              "<Ad><InLine><AdServingId> a </AdServingId></InLine></Ad>"),
     "VAST/Ad[2]/InLine/AdServingId", 3, WARNING),
    (v.VIOLATION_RULE_DEPRECATED, ad("", attributes='conditionalAd="true"'),
     "VAST/Ad[1]/@conditionalAd", 2, NOTE),
    (v.VIOLATION_RULE_DEPRECATED, ad("<Survey>u</Survey>", "4.1"), f"{AD}/Survey[1]", 3, NOTE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "data", "path", "line", "severity"),
    BROKEN,
    ids=[f"{v.ViolationRule.Name(each[0])[15:].lower()}-{i}" for i, each in enumerate(BROKEN)],
)
def test_a_broken_rule_is_told_with_line_and_path(rule, data, path, line, severity):
    assert (rule, path, line, severity) in found(data)


def test_every_rule_has_a_document_that_breaks_it():
    assert {each[0] for each in BROKEN} == set(v.ViolationRule.values()) - {0}


@pytest.mark.parametrize("version", ["2.0", "3.0", "4.0", "4.1", "4.2", "4.3"])
def test_a_document_as_it_should_be_breaks_no_rule(version):
    tracking = "<TrackingEvents><Tracking event='start'>u</Tracking></TrackingEvents>"
    assert lint(linear(tracking, version)) == []
    assert lint(document("", version)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_one_version_spells_in_another_way_is_a_spelling(version):
    name = f"{version // 10}.{version % 10}"
    right, wrong = ("AdID", "adId") if version < 40 else ("adId", "AdID")
    told = rules(ad(f"<Creatives><Creative {wrong}='1'/></Creatives>", name))
    assert v.VIOLATION_RULE_ATTRIBUTE_SPELLING in told
    told = rules(ad(f"<Creatives><Creative {right}='1'/></Creatives>", name))
    assert v.VIOLATION_RULE_ATTRIBUTE_SPELLING not in told


def test_models_of_pricing_are_read_in_any_case():
    price = "<Pricing model='CPM' currency='USD'>1</Pricing>"
    assert v.VIOLATION_RULE_ATTRIBUTE_VALUE not in rules(ad(price, "3.0"))


def test_attributes_of_xml_and_of_schemas_are_no_deviations():
    instance = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    assert lint(document("", "4.2", space=IAB + instance + ' xml:lang="en"')) == []
    told = found(document("", "4.2", space=IAB + ' xmlns:x="urn:x" x:y="1"'))
    assert (v.VIOLATION_RULE_ATTRIBUTE_UNKNOWN, "VAST/@x:y", 1, ERROR) in told


def test_what_stands_in_extensions_is_the_parties_own():
    content = "<Extensions><Extension{}><Foo x='1'/></Extension></Extensions>"
    for version in ("2.0", "3.0"):
        told = rules(ad(content.format(" x='1'"), version))
        assert told <= {v.VIOLATION_RULE_ELEMENT_MISSING, v.VIOLATION_RULE_ELEMENT_ORDER}
    told = rules(ad(content.format(" x='1'"), "4.2"))
    assert v.VIOLATION_RULE_ATTRIBUTE_NOT_IN_VERSION in told


def test_an_order_that_a_schema_leaves_free_is_no_deviation():
    swapped = "<UniversalAdId idRegistry='r'>1</UniversalAdId><CompanionAds/>"
    content = f"<Creatives><Creative>{swapped}</Creative></Creatives>"
    order = v.VIOLATION_RULE_ELEMENT_ORDER
    where = f"{AD}/Creatives/Creative[1]/CompanionAds"
    assert (order, where, 3, ERROR) not in found(ad(content, "4.1"))
    assert (order, where, 3, ERROR) in found(ad(content, "4.2"))


def test_several_icons_are_no_deviation_though_two_schemas_allow_one():
    icon = "<Icon><StaticResource creativeType='t'>u</StaticResource></Icon>"
    assert lint(linear(f"<Icons>{icon}{icon}</Icons>", "4.1")) == []


def test_offsets_outside_a_linear_mean_nothing():
    tracking = (
        "<TrackingEvents><Tracking event='progress' offset='1%'>u</Tracking></TrackingEvents>"
    )
    unit = "<NonLinear width='1' height='1'/>"
    content = f"<NonLinearAds>{tracking}{unit}</NonLinearAds>"
    told = rules(ad(f"<Creatives><Creative>{content}</Creative></Creatives>"))
    assert v.VIOLATION_RULE_TRACKING_OFFSET in told
    assert v.VIOLATION_RULE_TRACKING_EVENT not in told


def test_deviations_are_listed_in_document_order():
    data = document("<Foo/>\n<Bar/>\n<Ad/>\n<Foo/>")
    assert [each.line for each in lint(data)] == [2, 3, 4, 5]


def test_lines_count_what_stands_before_the_declaration():
    data = b"\n\n<?xml version='1.0'?>\n" + document("<Foo/>")
    assert [each.line for each in lint(data)] == [5]


def test_what_cannot_be_read_is_refused_as_by_parse():
    for data in (b"", b"<html/>", b"<VideoAdServingTemplate/>", b"<!DOCTYPE VAST><VAST/>"):
        with pytest.raises(VastUnreadable):
            lint(data)
    assert lint(inline(version="3.0").decode().encode("utf-16"), charset="x")


def test_samples_have_errors_exactly_where_their_schema_finds_some():
    for path, facts in facts_of(samples("vast", "XSP_VAST_SAMPLES")).items():
        if facts["root"] == "VAST":
            errors = [each for each in lint(path.read_bytes()) if each.severity == ERROR]
            assert bool(errors) != facts["xsd_valid"], (path, errors)
