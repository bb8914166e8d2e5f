"""What VAST 2.0 to 4.3 consist of: one table that reading, writing and checking share.

table     every element and attribute, with the versions that have it
model     what an entry of the table is
versions  the versions, by number and by name
"""

from xsp_server.vast.schema.model import Attribute, Element, snake_case
from xsp_server.vast.schema.table import DEEPEST, VAST
from xsp_server.vast.schema.versions import NAMESPACE, VERSIONS, Version, name_of, version_of

__all__ = [
    "DEEPEST",
    "NAMESPACE",
    "VAST",
    "VERSIONS",
    "Attribute",
    "Element",
    "Version",
    "name_of",
    "snake_case",
    "version_of",
]
