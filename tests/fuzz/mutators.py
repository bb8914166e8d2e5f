"""Makes inputs: documents, messages and macros that are nearly right, each wrong in its own way.

Everything is drawn from the `Random` that is given, so a seed makes the same inputs each time.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message as Protobuf

from fuzz.inputs import Document, Input, Macros, Message
from vast.chain_files import VECTORS
from vast.documents import TEXTS, every_element, message
from xsp_server.vast.macros import MACROS, Spelling
from xsp_server.vast.render import render
from xsp_server.vast.schema import VERSIONS

MOST_BYTES = 2_000
"""Of a document to start from: what goes wrong in a large one goes wrong in a small one."""


def seeds(messages: int = 300) -> list[Input]:
    """What mutations start from: the documents of the vectors, and random messages both ways."""
    found: list[Input] = []
    for path in sorted(VECTORS.glob("vast_chains*/*/*.xml")):
        data = path.read_bytes()
        if len(data) <= MOST_BYTES:
            found.append(Document(data))
    for number in range(messages):
        made = message(number, VERSIONS[number % len(VERSIONS)])
        if made.ByteSize() <= MOST_BYTES:
            found.append(Message(made.SerializeToString(deterministic=True)))
            xml = render(made, indent=number % 3 == 0).xml.encode()
            if len(xml) <= MOST_BYTES:
                found.append(Document(xml))
    return found


class Mutator:
    """Inputs without end out of a pool that grows by those that showed something new."""

    def __init__(self, pool: Sequence[Input]) -> None:
        """Takes what to start from."""
        self._documents = [one for one in pool if isinstance(one, Document)]
        self._messages = [one for one in pool if isinstance(one, Message)]

    def add(self, one: Input) -> None:
        """Takes an input that showed something new."""
        if isinstance(one, Document) and len(one.data) <= MOST_BYTES:
            self._documents.append(one)
        elif isinstance(one, Message) and len(one.wire) <= MOST_BYTES:
            self._messages.append(one)

    def make(self, dice: random.Random) -> Input:
        """One more input: of ten, seven documents, one message, two of macros."""
        kind = dice.randrange(10)
        if kind < 7:
            return self._document(dice)
        return self._message(dice) if kind == 7 else _macros(dice)

    def _document(self, dice: random.Random) -> Document:
        one = dice.choice(self._documents)
        data, charset = one.data, one.charset
        # Most stay well-formed: what can't be read shows little.
        changes = _GENTLE if dice.random() < 0.7 else (*_GENTLE, *_ROUGH)
        for _ in range(dice.choice((1, 1, 2, 3, 6))):
            change = dice.choice(changes)
            data = change(data, dice)
            if change is _splice:
                data = _spliced(data, dice.choice(self._documents).data, dice)
        if dice.random() < 0.06:
            data, charset = _recoded(data, dice)
        elif dice.random() < 0.03:
            charset = dice.choice(_CHARSETS)
        return Document(data, charset)

    def _message(self, dice: random.Random) -> Message:
        vast = dice.choice(self._messages).vast
        for _ in range(dice.choice((1, 2, 4))):
            _change_message(vast, dice)
        return Message(vast.SerializeToString(deterministic=True))


_TOKEN = re.compile(rb"<[^<>]*>|[^<]+|<")
_ATTRIBUTE = re.compile(rb"""[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*')""")
_CHARSETS = (
    *("utf-8", "latin-1", "utf-16", "utf-16-le", "utf-32-be", "cp1252", "shift_jis", "utf-7"),
    *("idna", "punycode", "unicode_escape", "rot13", "base64", "zip", "x", "", "utf-8-sig"),
    "cp037",
)
_ELEMENTS = sorted({element.name for _, element in every_element()})
_ATTRIBUTES = sorted({each.name for _, element in every_element() for each in element.attributes})
_WORDS = (
    *("<![CDATA[", "]]>", "<!--", "-->", "<?x", "?>", "&amp;", "&#0;", "&#xD800;", "&#13;"),
    *("&#x85;", "&lt;", "&nbsp;", "&", "<", ">", '"', "'", "]]", "\0", "\r", "\t", "\x0b"),
    *("\u2028", "\ufeff", "\ufffe", "é", "漢", "🎬", "xml:", "xmlns=''", "xmlns='urn:a'"),
    *("xmlns:v='urn:b'", "v:", "xmlns='http://www.iab.com/VAST'", "xsi:type='x'", "<a/>"),
    *("<v:Ad/>", "<VAST/>", "</VAST>", "<!DOCTYPE VAST>", "<!DOCTYPE v [<!ENTITY a 'b'>]>"),
    *("&a;", "<!ENTITY a SYSTEM 'file:///x'>", "<?xml version='1.1'?>", "encoding='rot13'"),
    *("<?xml version='1.0' encoding='utf-16'?>", "version='1.0'", "version='2.0'"),
    *("version='4.9'", "version='9'", "version=''", "version='2.0.1'", "-1", "0", "00000"),
    *("99999999999999999999", "1e9", "٣", "0x10", "+5", " 5 ", "NaN", "100%", "101%", "true"),
    *("TRUE", "1", "yes", "00:00:15", "99:99:99", "-00:00:01", "00:00:00.0000000001"),
    *("[CACHEBUSTING]", "%%X%%", "https://a.example/?a=1&b=2", "javascript:x", "//", "data:,x"),
)
_BYTES = tuple(word.encode() for word in _WORDS)


def _flip(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    return data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start + dice.choice((1, 2, 5, 40, 1000)) :]


def _truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _insert(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    return data[:place] + dice.choice(_BYTES) + data[place:]


def _tokens(
    change: Callable[[list[bytes], int, random.Random], None],
) -> Callable[[bytes, random.Random], bytes]:
    """A change of one token, where the others stay in place."""

    def changed(data: bytes, dice: random.Random) -> bytes:
        tokens = _TOKEN.findall(data)
        if tokens:
            change(tokens, dice.randrange(len(tokens)), dice)
        return b"".join(tokens)

    return changed


def _text(tokens: list[bytes], place: int, dice: random.Random) -> None:
    tokens[place] = dice.choice((dice.choice(_BYTES), dice.choice(TEXTS).encode(), b""))


def _repeat(tokens: list[bytes], place: int, dice: random.Random) -> None:
    end = place + dice.choice((1, 3, 9))
    tokens[place:place] = tokens[place:end] * dice.choice((1, 1, 2, 30))


def _swap(tokens: list[bytes], place: int, dice: random.Random) -> None:
    other = dice.randrange(len(tokens))
    tokens[place], tokens[other] = tokens[other], tokens[place]


def _drop(tokens: list[bytes], place: int, dice: random.Random) -> None:
    del tokens[place : place + dice.choice((1, 2, 3))]


def _rename(tokens: list[bytes], _place: int, dice: random.Random) -> None:
    """Another name for an element, at both its ends: the document stays well-formed."""
    names = [match[1] for token in tokens if (match := re.match(rb"<([\w:.-]+)", token))]
    if names:
        name = re.escape(dice.choice(names))
        other = dice.choice(_ELEMENTS)
        ends = rb"^(</?)" + name + rb"(?=[\s/>])"
        if dice.random() < 0.3:
            other = dice.choice((other.lower(), f"v:{other}", "Unknown", f"{other}x"))
        for index, token in enumerate(tokens):
            tokens[index] = re.sub(ends, rb"\1" + other.encode(), token)


def _new_element(tokens: list[bytes], place: int, dice: random.Random) -> None:
    """An element of VAST wherever it falls."""
    text = _escaped(dice.choice((*TEXTS, *_WORDS)))
    name = dice.choice(_ELEMENTS)
    attribute = f"{dice.choice(_ATTRIBUTES)}='{_escaped(dice.choice(_WORDS))}'"
    tokens.insert(place, f"<{name} {attribute}>{text}</{name}>".encode())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")


def _new_attribute(tokens: list[bytes], place: int, dice: random.Random) -> None:
    name = dice.choice(_ATTRIBUTES)
    name = dice.choice((name, name.lower(), name.upper(), f"v:{name}", f"{name}x"))
    value = _escaped(dice.choice((*TEXTS, *_WORDS)))
    tokens[place] = re.sub(
        rb"^<([\w:.-]+)",
        lambda match: match[0] + f" {name}='{value}'".encode(),
        tokens[place],
        count=1,
    )


def _attribute(tokens: list[bytes], place: int, dice: random.Random) -> None:
    """Another value, or none, for an attribute."""
    found = list(_ATTRIBUTE.finditer(tokens[place])) if tokens[place].startswith(b"<") else []
    if found:
        match = dice.choice(found)
        name = match[0].partition(b"=")[0]
        value = _escaped(dice.choice((*TEXTS, *_WORDS))).encode()
        other = dice.choice((b"", name + b"='" + value + b"'", match[0] + b" " + match[0]))
        token = tokens[place]
        tokens[place] = token[: match.start()] + other + token[match.end() :]


def _cdata(tokens: list[bytes], place: int, _dice: random.Random) -> None:
    if not tokens[place].startswith(b"<"):
        tokens[place] = b"<![CDATA[" + tokens[place] + b"]]>"


def _nest(tokens: list[bytes], place: int, dice: random.Random) -> None:
    name = dice.choice((b"a", b"InLine", b"Extension", b"Ad", b"v:x"))
    depth = dice.choice((1, 2, 10, 70, 300))
    tokens[place] = (b"<%b>" % name) * depth + tokens[place] + (b"</%b>" % name) * depth


def _splice(data: bytes, _dice: random.Random) -> bytes:
    return data  # `Mutator` knows the other document


def _spliced(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """Some tokens of another document, such as a whole element, in the place of some of ours."""
    ours, theirs = _TOKEN.findall(data), _TOKEN.findall(other)
    if not ours or not theirs:
        return data
    place, start = dice.randrange(len(ours)), dice.randrange(len(theirs))
    piece = theirs[start : start + dice.randint(1, 12)]
    opening = re.match(rb"<([\w:.-]+)", theirs[start])
    if opening and dice.random() < 0.7:
        closing = b"</" + opening[1] + b">"
        if closing in theirs[start:]:
            piece = theirs[start : theirs.index(closing, start) + 1]
    ours[place : place + dice.randrange(3)] = piece
    return b"".join(ours)


def _end(tokens: list[bytes], place: int) -> int:
    """Behind the end of the element that begins at a place; the place itself: none does."""
    depth = 0
    for index in range(place, len(tokens)):
        token = tokens[index]
        if token.startswith(b"</"):
            depth -= 1
        elif _OPENING.match(token):
            depth += not token.endswith(b"/>")
        elif index == place:
            break
        if depth <= 0:
            return index + 1
    return place


_OPENING = re.compile(rb"<[\w:]")


def _starts(tokens: list[bytes], dice: random.Random) -> int:
    """Where some element begins, but not the root."""
    found = [index for index, token in enumerate(tokens) if _OPENING.match(token)][1:]
    return dice.choice(found) if found else len(tokens)


def _drop_element(tokens: list[bytes], _place: int, dice: random.Random) -> None:
    start = _starts(tokens, dice)
    del tokens[start : _end(tokens, start)]


def _repeat_element(tokens: list[bytes], _place: int, dice: random.Random) -> None:
    start = _starts(tokens, dice)
    tokens[start:start] = tokens[start : _end(tokens, start)] * dice.choice((1, 1, 2, 9))


def _move_element(tokens: list[bytes], _place: int, dice: random.Random) -> None:
    """To before, or into, some other element."""
    start = _starts(tokens, dice)
    end = _end(tokens, start)
    moved = tokens[start:end]
    del tokens[start:end]
    place = _starts(tokens, dice)
    tokens[place:place] = moved


def _gentle_text(tokens: list[bytes], _place: int, dice: random.Random) -> None:
    """Another text between tags, escaped or as CDATA."""
    found = [n for n, token in enumerate(tokens) if token[:1] != b"<" or token[:3] == b"<!["][1:]
    if found:
        text = dice.choice((*TEXTS, *_WORDS))
        if dice.random() < 0.3 and "]]>" not in text:
            tokens[dice.choice(found)] = f"<![CDATA[{text}]]>".encode()
        else:
            tokens[dice.choice(found)] = _escaped(text).encode()


_GENTLE = tuple(
    map(
        _tokens,
        (
            *(_drop_element, _repeat_element, _move_element, _gentle_text, _gentle_text),
            *(_rename, _rename, _new_element, _new_element, _new_attribute, _attribute, _attribute),
        ),
    )
)
"""Changes that mostly leave a document well-formed."""

_ROUGH = (
    *(_flip, _cut, _truncate, _insert, _splice, _splice),
    *map(_tokens, (_text, _repeat, _swap, _drop, _cdata, _nest)),
)


def _recoded(data: bytes, dice: random.Random) -> tuple[bytes, str | None]:
    """In another encoding: declared, told from outside, or neither."""
    name = dice.choice(("utf-16", "utf-16-be", "utf-32-le", "utf-8-sig", "latin-1", "cp1252"))
    text = data.decode("utf-8", "replace")
    if dice.random() < 0.5:
        text = re.sub(r"^\s*<\?xml[^>]*>", "", text)
        text = f"<?xml version='1.0' encoding='{name}'?>{text}"
    charset = dice.choice((None, name, dice.choice(_CHARSETS)))
    return text.encode(name, "replace"), charset


def _leaves(vast: Protobuf) -> Iterator[tuple[Protobuf, Any]]:
    """Every field that is set, with the message it is in."""
    for field, value in vast.ListFields():
        yield vast, field
        if field.message_type:
            for inner in value if field.is_repeated else (value,):
                yield from _leaves(inner)


def _change_message(vast: Protobuf, dice: random.Random) -> None:
    leaves = list(_leaves(vast))
    if not leaves:
        return
    parent, field = dice.choice(leaves)
    if field.message_type:
        if not field.is_repeated or dice.random() < 0.3:
            parent.ClearField(field.name)
        else:
            items = getattr(parent, field.name)
            items.add().CopyFrom(dice.choice(items))
    elif field.cpp_type == field.CPPTYPE_STRING:
        text = dice.choice((*TEXTS, *_WORDS, *_NASTY))
        if field.is_repeated:
            getattr(parent, field.name).append(text)
        else:
            setattr(parent, field.name, text)
    elif field.cpp_type == field.CPPTYPE_INT32:
        setattr(parent, field.name, dice.choice((0, -1, 2**31 - 1, -(2**31))))


_CONTROLS = (0, 1, 8, 0xB, 0x1F, 0x7F, 0x85, 0x9F, 0xFFFE, 0xFFFF, 0x10FFFF)
_NASTY = (
    *(f"a{chr(code)}b" for code in _CONTROLS),
    *(" text with space around ", "\n", "4.2", "2.0", "1.0", "x" * 3000, "<a>", "<a", "</a>"),
    *("<a/><!--", "<a xmlns:x='urn:x'><x:b x:c='&quot;'/></a>", "<x:a/>", "<?pi?>", "&b;"),
    *("<!DOCTYPE a>", "]]>", "TrackingEvents", "Error[2]", "../..", "Ad[1]/InLine", "xmlns"),
    *("xmlns:x", "a b", "1a", "x:y"),
)

_PIECES = (
    *("https://a.example/", "?a=", "&b=", "[", "]", "[[", "]]", "[]", "%", "%%", "%5B", "%5D"),
    *("%5b", "#", "é", "漢", "\ud800", "\0", " ", "\n", "[x]", "[unknown]", "[X Y]"),
    *("[TIMESTAMP", "RANDOM", "+"),
)
_NAMES = (*MACROS, "RANDOM", "random", "cachebuster", "VENDOR", "A" * 100)
_FORMS = ("[{}]", "[{}]", "[{}]", "%%{}%%", "%5B{}%5D", "%5b{}%5d", "[{}", "{}]", "[[{}]]", "[ {}]")


def _macros(dice: random.Random) -> Macros:
    pieces = []
    for _ in range(dice.randint(0, 12)):
        if dice.random() < 0.5:
            name = dice.choice(_NAMES)
            name = name.lower() if dice.random() < 0.15 else name
            pieces.append(dice.choice(_FORMS).format(name))
        else:
            pieces.append(dice.choice(_PIECES))
    values = {dice.choice(_NAMES): _value(dice) for _ in range(dice.randint(0, 8))}
    spellings = [each.name for each in Spelling if dice.random() < 0.15]
    only = tuple(dice.choice(_NAMES) for _ in range(3)) if dice.random() < 0.1 else None
    return Macros("".join(pieces), values, tuple(spellings), only)


def _value(dice: random.Random) -> object:
    texts = (*_PIECES, *TEXTS, "[TIMESTAMP]", "TIMESTAMP", "-1", "", "a,b", "%%IFA%%")
    match dice.randrange(6):
        case 0:
            return {"absence": dice.choice(("-1", "-2"))}
        case 1:
            return dice.choice((0, -1, 7, 2**63, 10**30))
        case 2:
            return [dice.choice(texts) for _ in range(dice.randint(0, 3))]
        case _:
            return dice.choice(texts)
