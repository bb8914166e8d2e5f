"""Categories that Wrappers block (VAST 4.3 section 3.19.2)."""

from collections.abc import Iterable, Mapping

from xsp.vast.v1 import resolve_options_pb2, vast_pb2

Blocked = Mapping[str, tuple[str, ...]]
"""Codes by the authority that defines them; an empty authority: none was named."""


def blocked_by(wrappers: Iterable[vast_pb2.Wrapper]) -> Blocked:
    """What these Wrappers block together: each code once, in the order of their naming."""
    found: dict[str, dict[str, None]] = {}
    for wrapper in wrappers:
        for block in wrapper.blocked_ad_categories:
            codes = found.setdefault(block.authority, {})
            for code in block.value.split(","):
                if code := code.strip():
                    codes[code] = None
    return {authority: tuple(codes) for authority, codes in found.items() if codes}


def with_more(blocked: Blocked, blocks: Iterable[resolve_options_pb2.CategoryBlock]) -> Blocked:
    """The same with those that a caller blocks."""
    found = {authority: dict.fromkeys(codes) for authority, codes in blocked.items()}
    for block in blocks:
        found.setdefault(block.authority, {}).update(dict.fromkeys(block.codes))
    return {authority: tuple(codes) for authority, codes in found.items() if codes}


def blocked_category(inline: vast_pb2.InLine, blocked: Blocked) -> vast_pb2.Category | None:
    """The first category of an ad that is blocked; codes compare under one authority only."""
    if not blocked:
        return None
    keys = {code_key(authority, code) for authority, codes in blocked.items() for code in codes}
    for category in inline.categories:
        if code_key(category.authority, category.value) in keys:
            return category
    return None


def code_key(authority: str, code: str) -> tuple[str, str]:
    """What two codes have in common that are one: an authority is a name of a host, in any case."""
    return authority.casefold(), code
