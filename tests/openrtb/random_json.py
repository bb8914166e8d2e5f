"""Hypothesis strategies for OpenRTB JSON, made from the descriptors alone.

They know nothing of the codec's own tables, so that these can be wrong without the tests agreeing.
"""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

TEXT_ONLY = {"request_native", "adm_native", "raw_json"}
"""Fields that JSON doesn't have under their names."""

text = st.text(max_size=6)
int32 = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
any_json: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | doubles | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
SCALARS: dict[int, SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: text,
    FieldDescriptor.TYPE_INT32: int32,
    FieldDescriptor.TYPE_BOOL: st.sampled_from([0, 1]),
    FieldDescriptor.TYPE_DOUBLE: doubles,
}


@st.composite
def objects(draw: st.DrawFn, descriptor: Descriptor, faulty: bool = False) -> dict[str, Any]:
    """An object of this type, in the spelling that the codec writes.

    If `faulty`, a member here and there has a value of any type, or a name that nobody knows.
    """
    if "raw_json" in descriptor.fields_by_name:
        return draw(_ext(descriptor, faulty))
    fields = [each for each in descriptor.fields if each.name not in TEXT_ONLY]
    chosen = draw(st.lists(st.sampled_from(fields), unique_by=lambda f: f.name, max_size=4))
    taken = set()
    members = {}
    for each in chosen:
        oneof = each.containing_oneof
        if oneof is not None and len(oneof.fields) > 1 and not faulty:
            if oneof.name in taken:
                continue
            taken.add(oneof.name)
        members[each.name] = draw(_value(each, faulty))
    if faulty and draw(st.integers(0, 9)) == 0:
        members |= draw(st.dictionaries(text | st.just("raw_json"), any_json, max_size=2))
    return members


@st.composite
def _ext(draw: st.DrawFn, descriptor: Descriptor, faulty: bool) -> dict[str, Any]:
    """Members with a field, right or not, among any others."""
    others = draw(st.dictionaries(text | st.just("raw_json"), any_json, max_size=3))
    fields = [each for each in descriptor.fields if each.name not in TEXT_ONLY]
    if not fields:
        return others
    chosen = draw(st.lists(st.sampled_from(fields), unique_by=lambda f: f.name, max_size=3))
    typed = {each.name: draw(_value(each, faulty) | any_json) for each in chosen}
    return draw(st.permutations([*{**others, **typed}.items()]).map(dict))


@st.composite
def _value(draw: st.DrawFn, field: FieldDescriptor, faulty: bool) -> Any:
    if faulty and draw(st.integers(0, 19)) == 0:
        return draw(any_json)
    message = field.message_type
    if message is None:
        one = SCALARS[field.type]
    elif message.full_name == "google.protobuf.Value":
        return draw(any_json.filter(lambda json: json is not None))
    elif message.GetOptions().map_entry:
        return draw(st.dictionaries(text, doubles, min_size=1, max_size=3))
    else:
        one = objects(message, faulty)
    return draw(st.lists(one, min_size=1, max_size=2) if field.is_repeated else one)
