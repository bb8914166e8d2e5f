"""Documents as messages: what goes where, and what is kept."""

from xml.sax.saxutils import escape

import pytest

from vast.documents import TEXTS, creative, every_element, inline
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.parse import parse

IAB = "http://www.iab.com/VAST"


def ad(document):
    return parse(document).ads[0]


def of_inline(content, **options):
    return ad(inline(content, **options)).inline


def of_creative(content):
    return ad(creative(content)).inline.creatives[0]


def test_text_is_trimmed_and_decoded_whether_cdata_or_not():
    content = """<AdTitle>  A &amp; B
      </AdTitle><Description><![CDATA[ <b>1 & 2</b> ]]></Description>
      <Impression>\n<![CDATA[https://e.com/?a=1]]><![CDATA[&b=2]]>\n</Impression>"""
    read = of_inline(content)
    assert read.ad_title == "A & B"
    assert read.description == "<b>1 & 2</b>"
    assert read.impressions[0].url == "https://e.com/?a=1&b=2"


def test_comments_and_instructions_are_not_content():
    read = of_inline("<AdTitle>a<!-- x -->b<?y z?>c</AdTitle><!-- <Error>no</Error> -->")
    assert read == vast_pb2.InLine(ad_title="abc")


@pytest.mark.parametrize("written", ["true", "1", "TRUE", " True "])
def test_true_reads_in_any_case_and_as_one(written):
    document = (
        f'<VAST version="4.2"><Ad><Wrapper followAdditionalWrappers="{written}"/></Ad></VAST>'
    )
    assert ad(document.encode()).wrapper.follow_additional_wrappers is True


@pytest.mark.parametrize("written", ["false", "0", "False"])
def test_false_reads_in_any_case_and_as_zero(written):
    document = f'<VAST version="4.2"><Ad><Wrapper allowMultipleAds="{written}"/></Ad></VAST>'
    wrapper = ad(document.encode()).wrapper
    assert wrapper.HasField("allow_multiple_ads")
    assert wrapper.allow_multiple_ads is False


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("640", 640),
        (" 640 ", 640),
        ("+640", 640),
        ("-1", -1),
        ("007", 7),
        ("2147483647", 2**31 - 1),
    ],
)
def test_integers_read_as_numbers(written, number):
    document = creative(f'<Linear><MediaFiles><MediaFile width="{written}"/></MediaFiles></Linear>')
    assert ad(document).inline.creatives[0].linear.media_files.media_files[0].width == number


@pytest.mark.parametrize(
    "written", ["", "100%", "640px", "12.5", "1_000", "\u0663", "2147483648", "9" * 5000]
)
def test_an_integer_that_does_not_read_is_kept_as_written(written):
    document = creative(f'<Linear><MediaFiles><MediaFile width="{written}"/></MediaFiles></Linear>')
    file = ad(document).inline.creatives[0].linear.media_files.media_files[0]
    assert not file.HasField("width")
    assert file.unknown[0].attribute == vast_pb2.XmlAttribute(name="width", value=written)


@pytest.mark.parametrize("written", ["yes", "", "2"])
def test_a_flag_that_does_not_read_is_kept_as_written(written):
    document = f'<VAST version="4.0"><Ad conditionalAd="{written}"/></VAST>'
    read = ad(document.encode())
    assert not read.HasField("conditional_ad")
    assert read.unknown[0].attribute.value == written


def test_expires_is_a_number_and_kept_whole_when_it_is_none():
    assert of_inline("<Expires> 3600 </Expires>").expires == 3600
    read = of_inline("<Expires>soon</Expires>")
    assert not read.HasField("expires")
    assert read.unknown[0].xml == "<Expires>soon</Expires>"
    assert of_inline(f"<Expires>{2**63}</Expires>").unknown


@pytest.mark.parametrize("name", ["AdID", "adID", "adId", "ADID"])
def test_spellings_of_an_attribute_are_one_field(name):
    document = f'<VAST version="2.0"><Ad><InLine><Creatives><Creative {name}="x"/></Creatives>'
    read = ad((document + "</InLine></Ad></VAST>").encode()).inline.creatives[0]
    assert read == vast_pb2.Creative(ad_id="x")


def test_a_second_spelling_of_an_attribute_is_kept_as_unknown():
    document = inline('<Creatives><Creative adId="1" AdID="2" ADid="3"/></Creatives>')
    read = ad(document).inline.creatives[0]
    assert read.ad_id == "1"
    assert [(each.attribute.name, each.attribute.value) for each in read.unknown] == [
        ("AdID", "2"),
        ("ADid", "3"),
    ]


def test_elements_of_an_own_text_set_it_even_when_empty():
    read = of_inline("<AdSystem/><Impression id='1'/><Pricing> </Pricing><Error/>")
    assert read.ad_system.HasField("value")
    assert read.impressions[0].HasField("url")
    assert read.pricing.HasField("value")
    assert list(read.errors) == [""]


def test_lists_keep_order_and_duplicates_and_groups_given_twice_are_one():
    tracking = '<Tracking event="start">{}</Tracking>'
    group = "<TrackingEvents>{}</TrackingEvents>"
    linear = group.format(tracking.format("b") + tracking.format("a"))
    linear += group.format(tracking.format("a"))
    read = of_creative(f"<Linear>{linear}</Linear>").linear
    assert [each.url for each in read.tracking_events] == ["b", "a", "a"]


def test_an_empty_group_is_not_kept_but_what_stands_on_it_is():
    read = of_creative("<Linear><TrackingEvents/></Linear>").linear
    assert read == vast_pb2.Linear()
    read = of_creative("<Linear><TrackingEvents x='1'><Foo/></TrackingEvents></Linear>").linear
    assert [(each.path, each.WhichOneof("content")) for each in read.unknown] == [
        ("TrackingEvents", "attribute"),
        ("TrackingEvents", "xml"),
    ]


def test_a_second_element_where_one_may_stand_is_kept_as_unknown():
    read = of_inline("<AdTitle>a</AdTitle><AdTitle>b</AdTitle><AdSystem/><AdSystem>x</AdSystem>")
    assert read.ad_title == "a"
    assert [each.xml for each in read.unknown] == ["<AdTitle>b</AdTitle>", "<AdSystem>x</AdSystem>"]


def test_the_second_content_of_an_ad_is_kept_as_unknown():
    document = b'<VAST version="3.0"><Ad><Wrapper/><InLine><AdTitle/></InLine></Ad></VAST>'
    read = ad(document)
    assert read.WhichOneof("content") == "wrapper"
    assert [each.xml for each in read.unknown] == ["<InLine><AdTitle/></InLine>"]


def test_attributes_and_elements_of_mere_strings_are_kept_with_their_path():
    read = of_inline('<Error>a</Error><Error id="2">b<i/></Error><AdTitle x="1">t</AdTitle>')
    assert list(read.errors) == ["a", "b"]
    assert [(each.path, each.xml or each.attribute.name) for each in read.unknown] == [
        ("AdTitle", "x"),
        ("Error[2]", "id"),
        ("Error[2]", "<i/>"),
    ]


def test_text_around_strange_elements_is_the_text():
    read = of_inline("<Impression>https://e.com/?a=1<amp/>b=2</Impression>")
    assert read.impressions[0].url == "https://e.com/?a=1b=2"
    assert read.impressions[0].unknown[0].xml == "<amp/>"


def test_a_field_in_the_wrong_version_or_place_is_read_all_the_same():
    document = b"""<VAST version="2.0"><Ad sequence="1"><Wrapper><Creatives><Creative><Linear>
      <Duration>00:00:10</Duration><Icons><Icon program="x"/></Icons>
      <VideoClicks><ClickThrough>c</ClickThrough></VideoClicks></Linear><NonLinearAds><NonLinear>
      <TrackingEvents><Tracking event="close">t</Tracking></TrackingEvents>
      </NonLinear></NonLinearAds></Creative></Creatives></Wrapper></Ad></VAST>"""
    read = ad(document)
    linear = read.wrapper.creatives[0].linear
    assert read.sequence == 1
    assert linear.duration == "00:00:10"
    assert linear.icons[0].program == "x"
    assert linear.video_clicks.click_through.url == "c"
    units = read.wrapper.creatives[0].non_linear_ads.non_linears
    assert units[0].tracking_events[0].event == "close"
    assert not read.unknown


def test_elements_outside_their_place_are_kept_where_they_stood():
    read = of_inline("<Tracking event='start'>u</Tracking><VASTAdTagURI>x</VASTAdTagURI>")
    assert [each.xml for each in read.unknown] == [
        '<Tracking event="start">u</Tracking>',
        "<VASTAdTagURI>x</VASTAdTagURI>",
    ]


def test_extensions_keep_verifications_and_ids_as_they_are():
    read = of_inline(
        "<Extensions><Extension type='AdVerifications' x='1'><AdVerifications><Verification"
        " vendor='v'/></AdVerifications></Extension><Extension><UniversalAdId idRegistry='r'>1"
        "</UniversalAdId></Extension></Extensions>"
    )
    assert read.extensions[0] == vast_pb2.Extension(
        type="AdVerifications",
        attributes=[vast_pb2.XmlAttribute(name="x", value="1")],
        xml='<AdVerifications><Verification vendor="v"/></AdVerifications>',
    )
    assert read.extensions[1].xml == '<UniversalAdId idRegistry="r">1</UniversalAdId>'
    assert not read.ad_verifications


@pytest.mark.parametrize("path", ["VAST/Ad/InLine", "VAST/Ad/Wrapper"])
def test_every_element_of_the_table_is_read_in_any_order_and_under_any_prefix(path):
    """Two documents with everything, one backwards and with a prefix, are one message."""

    def written(place, element, prefix, *, backwards):
        name = element.name
        attributes = {each.field: each.name for each in element.attributes if each.name != "*"}
        given = "".join(f' {each}="1"' for each in attributes.values())
        text = "x" if element.type not in {"container", "integer"} else ""
        text = "7" if element.type == "integer" else text
        children = [
            written(f"{place}/{each.name}", each, prefix, backwards=backwards)
            for each in element.children
        ]
        inside = "".join(reversed(children) if backwards else children)
        return f"<{prefix}{name}{given}>{text}{inside}</{prefix}{name}>"

    known = dict(every_element())[path]
    plain = written(path, known, "", backwards=False)
    other = written(path, known, "v:", backwards=True)
    first = parse(f'<VAST version="4.2"><Ad>{plain}</Ad></VAST>'.encode())
    second = parse(f'<v:VAST version="4.2" xmlns:v="{IAB}"><v:Ad>{other}</v:Ad></v:VAST>'.encode())
    assert first == second
    assert b"unknown" not in str(first).encode()


@pytest.mark.parametrize("space", ["", f' xmlns="{IAB}"', ' xmlns="urn:anything"'])
def test_the_namespace_of_the_document_does_not_matter(space):
    document = inline("<AdTitle>t</AdTitle><Foo><Bar/></Foo>", attributes=space)
    assert parse(document) == parse(inline("<AdTitle>t</AdTitle><Foo><Bar/></Foo>"))


def test_prefixes_of_kept_xml_are_declared_in_it_and_vasts_own_is_not():
    document = f"""<v:VAST version="4.2" xmlns:v="{IAB}" xmlns:x="urn:x" xmlns:y="urn:y"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><v:Ad><v:InLine><v:Extensions>
      <v:Extension x:a="1"><v:Own/><x:A y:b="2"><v:C/><D/></x:A><E xsi:type="y:t"/>
      </v:Extension></v:Extensions></v:InLine></v:Ad></v:VAST>""".encode()
    extension = ad(document).inline.extensions[0]
    assert extension.attributes[0] == vast_pb2.XmlAttribute(namespace="urn:x", name="a", value="1")
    assert extension.xml == (
        '<Own/><x:A xmlns:x="urn:x" xmlns:y="urn:y" y:b="2"><C/><D/></x:A><E xmlns:xsi='
        '"http://www.w3.org/2001/XMLSchema-instance" xmlns:y="urn:y" xsi:type="y:t"/>'
    )


def test_a_foreign_default_namespace_in_kept_xml_is_declared_where_it_begins_and_ends():
    document = inline(
        f'<Extensions><Extension><a xmlns="urn:a"><b/><c xmlns="{IAB}"><d/></c></a></Extension>'
        "</Extensions>",
        attributes=f' xmlns="{IAB}"',
    )
    assert ad(document).inline.extensions[0].xml == (
        '<a xmlns="urn:a"><b/><c xmlns=""><d/></c></a>'
    )


def test_a_prefix_that_nobody_declared_is_dropped_but_xsi_is_known():
    read = of_inline('<p:Foo p:a="1" xsi:nil="true"/>')
    assert read.unknown[0].xml == (
        '<Foo xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" a="1" xsi:nil="true"/>'
    )


def test_an_attribute_under_a_prefix_that_nobody_declared_is_read_by_its_name():
    read = of_inline(
        "<Impression p:id='1' q:id='2'/><Extensions><Extension p:type='t' type='u'/></Extensions>"
    )
    assert read.impressions[0].id == "1"
    assert read.impressions[0].unknown[0].attribute == vast_pb2.XmlAttribute(name="id", value="2")
    assert read.extensions[0].type == "t"
    assert read.extensions[0].attributes[0] == vast_pb2.XmlAttribute(name="type", value="u")


def test_schema_location_is_kept_and_declarations_are_no_content():
    space = "http://www.w3.org/2001/XMLSchema-instance"
    document = inline(attributes=f' xmlns:xsi="{space}" xsi:schemaLocation="a b"')
    read = parse(document)
    assert [each.attribute for each in read.unknown] == [
        vast_pb2.XmlAttribute(namespace=space, name="schemaLocation", value="a b")
    ]


def test_xml_that_is_kept_is_escaped_again():
    read = of_inline(
        "<Extensions><Extension><![CDATA[<a> & ]]>&#13;<b c='&lt;&quot;&#10;'/>"
        "</Extension></Extensions>"
    )
    assert read.extensions[0].xml == '&lt;a&gt; &amp; &#13;<b c="&lt;&quot;&#10;"/>'


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_that_xml_holds_is_read_as_it_is(text):
    written = escape(text, {"\r": "&#13;"})
    assert of_inline(f"<AdTitle>{written}</AdTitle>").ad_title == text.strip()


@pytest.mark.parametrize("version", [None, "", "2.0.1", "4.3", "four", "4.9", " 4.0"])
def test_a_version_that_is_missing_odd_or_of_a_known_family_is_read(version):
    attribute = "" if version is None else f' version="{version}"'
    read = parse(f"<VAST{attribute}/>".encode())
    assert read.HasField("version") == (version is not None)


def test_an_empty_document_is_a_message_without_ads():
    assert parse(b"<VAST/>") == vast_pb2.Vast()
    read = parse(b'<VAST version="3.0"><Error>https://e.com/[ERRORCODE]</Error></VAST>')
    assert list(read.errors) == ["https://e.com/[ERRORCODE]"]
