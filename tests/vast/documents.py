"""Random VAST messages that a version can hold, drawn from the table of the schema; and files.

`messages(version)` is a hypothesis strategy. A message is made from one seed, which is fast, so
that thousands can be tried; a failing one is told by its seed.
"""

import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.parse import parse
from xsp_server.vast.schema import VAST, name_of

ROOT = Path(__file__).parents[2]

TEXTS = (
    "https://example.com/t?a=1&b=[CACHEBUSTING]",
    "a",
    "",
    "<b>&amp;</b>",
    "x ]]> y ]]>",
    "]]]]>>",
    "<![CDATA[x]]>",
    "tab\tand\nline",
    "carriage\rreturn & <more>",
    "ünïcode 漢字 🎬 \u2028 \x85 .",
    "quotes \" and ' both",
    "%5BERRORCODE%5D",
    "<!-- no comment -->",
)
"""Texts that break careless writers; trimmed, as the model has them."""

FRAGMENTS = (
    "",
    "plain &amp; simple",
    "<a/>",
    '<x:a xmlns:x="urn:x" x:y="1"><b>t</b> tail</x:a>',
    '<a xmlns="urn:other"><b/></a><c/>',
    "<Vendor>one<Part n='1'/></Vendor> and text",
    '<a t="x:y" xmlns:x="urn:q"/>',
    "<UniversalAdId idRegistry='ad-id.org'>8465</UniversalAdId>",
)
"""XML of the parties' own."""


def samples(name, variable):
    """A folder of samples that is not part of the project, or a skip that says so."""
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / "samples" / name)
    if not folder.is_dir():
        pytest.skip(f"no samples: {variable} names no folder, and {name} is not beside the project")
    return folder


def facts_of(folder):
    """The facts of each sample that is VAST, by file."""
    files = json.loads((folder / "index.json").read_text("utf-8"))["files"]
    return {folder / name: facts for name, facts in files.items()}


def messages(version, *, valid=False):
    """A strategy for messages that a version can hold all of.

    `valid` leaves out what is in the texts of the standard but not in its schemas.
    """
    return st.integers(0, 2**63).map(lambda seed: message(seed, version, valid=valid))


def message(seed, version, *, valid=False):
    """The message of one seed."""
    return Maker(Random(seed), version, valid=valid).document()


class Maker:
    """Makes one message, element by element, as the table has them."""

    def __init__(self, random, version, *, valid):
        self.random = random
        self.version = version
        self.valid = valid

    def document(self):
        vast = vast_pb2.Vast(version=name_of(self.version))
        self.fill(vast, VAST, {"version"})
        # A document with ads has no Error of its own, by schema.
        if vast.ads and self.valid:
            del vast.errors[:]
        return vast

    def fill(self, message, element, done=frozenset()):
        for attribute in element.attributes:
            wanted = attribute.required.get(self.version)
            if (
                wanted is None
                or attribute.field in done
                or (self.valid and self.off_schema(element, attribute))
            ):
                continue
            if attribute.type != "any" and (wanted or self.random.random() < 0.4):
                setattr(message, attribute.field, self.value(attribute))
        if element.type not in {"container", "xml"}:
            field = "url" if "url" in message.DESCRIPTOR.fields_by_name else "value"
            setattr(message, field, self.text(element.type))
        self.children(message, element)
        if not self.valid and self.random.random() < 0.1:
            self.unknown(message)
            message.unknown.sort(key=lambda each: (each.path, each.HasField("xml")))

    def off_schema(self, element, attribute):
        """Whether the version's schema lacks what its text has."""
        return self.version in attribute.from_text or (
            self.version == 30 and (element.name, attribute.name) in DRAFT_LACKS
        )

    def children(self, message, element):
        for child in self.chosen(element):
            least, most = child.counts[self.version]
            least = 1 if child.name in {"InLine", "Wrapper"} else least
            ceiling = least + 2 if most is None else most
            for _ in range(self.random.randint(least, ceiling)):
                self.add(message, child)

    def chosen(self, element):
        """The children to make: of what excludes each other, one."""
        known = [each for each in element.children if self.version in each.counts]
        if self.valid:
            known = [each for each in known if not each.from_text]
        if self.valid and self.version == 30:
            known = [each for each in known if (element.name, each.name) not in DRAFT_LACKS]
        for names in CHOICES:
            rivals = [each for each in known if each.name in names]
            if len(rivals) > 1 and (self.valid or element.name == "Ad"):
                keep = self.random.choice(rivals)
                known = [each for each in known if each not in rivals or each is keep]
        return known

    def add(self, message, child):
        if not child.field:
            self.children(message, child)
            return
        field = message.DESCRIPTOR.fields_by_name[child.field]
        if child.type == "xml":
            getattr(message, child.field).append(self.extension())
        elif field.message_type and field.is_repeated:
            self.fill(getattr(message, child.field).add(), child)
        elif field.message_type:
            inner = getattr(message, child.field)
            inner.SetInParent()
            self.fill(inner, child)
        elif field.is_repeated:
            getattr(message, child.field).append(self.text(child.type))
        else:
            value = self.text(child.type)
            setattr(message, child.field, int(value) if child.type == "integer" else value)

    def extension(self):
        extension = vast_pb2.Extension(xml="")
        if self.random.random() < 0.7:
            extension.type = self.random.choice(("UniversalAdId", "AdVerifications", "x"))
        if self.valid:
            extension.xml = "<a/>" if self.version > 20 else ""
            extension.ClearField("type") if self.version == 30 else None
            return extension
        extension.xml = canonical(self.random.choice(FRAGMENTS))
        if self.random.random() < 0.4:
            extension.attributes.add(name="id", value=self.random.choice(TEXTS))
            extension.attributes.add(name="id", namespace="urn:x", value="1")
        return extension

    def unknown(self, message):
        """Things that no version has, where the model keeps them."""
        if self.random.random() < 0.5:
            message.unknown.add().attribute.CopyFrom(
                vast_pb2.XmlAttribute(name="data-x", value=self.random.choice(TEXTS))
            )
        if self.random.random() < 0.5:
            message.unknown.add(xml=canonical("<Foo a='1'>x<b xmlns='urn:b'/></Foo>"))
        if "tracking_events" in message.DESCRIPTOR.fields_by_name and message.tracking_events:
            message.unknown.add(path="TrackingEvents", xml="<Bar/>")
        errors = getattr(message, "errors", ())
        for index in range(1, len(errors) + 1):
            path = "Error" if index == 1 else f"Error[{index}]"
            message.unknown.add(path=path).attribute.CopyFrom(
                vast_pb2.XmlAttribute(name="id", value=str(index))
            )

    def value(self, attribute):
        if attribute.type == "integer":
            return self.random.choice((0, 1, 640, 4097, 2**31 - 1, -5))
        if attribute.type == "boolean":
            return self.random.random() < 0.5
        if words := attribute.words.get(self.version):
            return self.random.choice(words)
        return self.text(attribute.type)

    def text(self, type_):
        if type_ in VALUES:
            return self.random.choice(VALUES[type_])
        if self.valid:
            return f"https://example.com/{self.random.randrange(100)}?a=1&amp=2"
        return self.random.choice(TEXTS)


DRAFT_LACKS = {
    ("Wrapper", "followAdditionalWrappers"),
    ("Wrapper", "allowMultipleAds"),
    ("Wrapper", "fallbackOnNoAd"),
    ("Impression", "id"),
    ("Survey", "type"),
    ("IconClickTracking", "id"),
    ("NonLinearClickTracking", "id"),
    ("CompanionClickTracking", "id"),
    ("VAST", "Error"),
    ("Creative", "CreativeExtensions"),
    ("Companion", "CompanionClickTracking"),
}
"""Attributes and elements that the text of 3.0 has and its schema, a draft, lacks."""

CHOICES = (
    {"InLine", "Wrapper"},
    {"Linear", "NonLinearAds", "CompanionAds"},
    {"StaticResource", "IFrameResource", "HTMLResource"},
)

VALUES = {
    "time": ("00:00:15", "00:01:30.500"),
    "offset": ("00:00:05", "25%", "00:00:05.250"),
    "decimal": ("1", "4.50"),
    "integer": ("0", "86400"),
    "currency": ("USD", "eur"),
    "x position": ("10", "left"),
    "y position": ("10", "top"),
}


def canonical(xml):
    """XML of an extension as reading gives it."""
    document = f"<VAST version='4.2'><Ad><InLine><Extensions><Extension>{xml}</Extension>"
    document += "</Extensions></InLine></Ad></VAST>"
    return parse(document.encode()).ads[0].inline.extensions[0].xml


def every_element(element=VAST, path="VAST"):
    """Elements of the table with their paths."""
    yield path, element
    for child in element.children:
        yield from every_element(child, f"{path}/{child.name}")


def inline(content="", version="4.2", attributes=""):
    """An InLine document around some content, in bytes."""
    return (
        f'<VAST version="{version}"{attributes}><Ad id="1"><InLine>{content}</InLine></Ad></VAST>'
    ).encode()


def creative(content, version="4.2"):
    """A document with one creative around some content."""
    return inline(f"<Creatives><Creative>{content}</Creative></Creatives>", version)
