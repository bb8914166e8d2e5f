"""What of the macros is settled once an ad is found."""

from typing import Final

from xsp.vast.v1 import vast_pb2 as pb
from xsp_server.vast.macros.values import Absence, Values

_NO_ID: Final = "unknown"
"""What documents say where there is no id, or no registry."""


def values_of_ad(ad: pb.Ad) -> Values:
    """ADSERVINGID, UNIVERSALADID, PODSEQUENCE and ADTYPE of an InLine ad.

    They hold for the trackers of its Wrappers as well (VAST 4.3 section 3.4.3). What the ad doesn't
    say is unknown; only its type is then `video`.
    """
    return {
        "ADSERVINGID": ad.inline.ad_serving_id or Absence.UNKNOWN,
        "UNIVERSALADID": _universal_ad_ids(ad) or Absence.UNKNOWN,
        "PODSEQUENCE": ad.sequence if ad.HasField("sequence") else Absence.UNKNOWN,
        "ADTYPE": ad.ad_type or "video",
    }


def _universal_ad_ids(ad: pb.Ad) -> tuple[str, ...]:
    """Registry and value of each id, each pair once: creatives of one ad may share theirs."""
    ids = (one for creative in ad.inline.creatives for one in creative.universal_ad_ids)
    pairs = (f"{one.id_registry or _NO_ID} {one.value}" for one in ids if one.value not in _NO_IDS)
    return tuple(dict.fromkeys(pairs))


_NO_IDS: Final = ("", _NO_ID)
