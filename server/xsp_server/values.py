"""Values: immutable records that are made by the dozen in every auction.

`@value` is `@dataclass(frozen=True, slots=True)` for the type checker, which refuses to assign to
a field. At run time nothing stands in the way, for that way costs most: a frozen class with ten
fields takes 2.0 us to make, this one 0.3 (Python 3.11). What is made rarely stays a frozen
dataclass.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[Class]) -> type[Class]:
    """Makes a class a value: with slots, compared and hashed by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
