"""Every element and attribute of VAST 2.0 to 4.3.

The figures are those of IAB's schemas for 2.0.1, 3.0, 4.0, 4.1 and 4.2 and, for 4.3 and where the
schemas are silent, of the texts. `e(name, field, counts, type, attributes and children …)` is an
element and `a(name, versions, type)` an attribute; without versions, 2.0 to 4.3 have it.
"""

from typing import Final

from xsp_server.vast.schema.model import Attribute, Element
from xsp_server.vast.schema.model import attribute as a
from xsp_server.vast.schema.model import element as e

ONE: Final = "1..1"
OPTIONAL: Final = "0..1"
ANY: Final = "0..*"
SOME: Final = "1..*"
REQUIRED: Final = "required 2.0-4.3"

_EVENTS: Final = (
    "2.0: creativeView start midpoint firstQuartile thirdQuartile complete mute unmute pause"
    " rewind resume fullscreen expand collapse acceptInvitation close,"
    "3.0: creativeView start firstQuartile midpoint thirdQuartile complete mute unmute pause"
    " rewind resume fullscreen exitFullscreen expand collapse acceptInvitation close skip progress"
    " acceptInvitationLinear closeLinear,"
    "4.0: mute unmute pause resume rewind skip playerExpand playerCollapse start firstQuartile"
    " midpoint thirdQuartile complete acceptInvitationLinear timeSpentViewing progress creativeView"
    " acceptInvitation adExpand adCollapse minimize close overlayViewDuration otherAdInteraction,"
    "4.1: mute unmute pause resume rewind skip playerExpand playerCollapse loaded start"
    " firstQuartile midpoint thirdQuartile complete progress closeLinear creativeView"
    " acceptInvitation adExpand adCollapse minimize close overlayViewDuration otherAdInteraction,"
    "4.2-4.3: mute unmute pause resume rewind skip playerExpand playerCollapse loaded start"
    " firstQuartile midpoint thirdQuartile complete progress closeLinear creativeView"
    " acceptInvitation adExpand adCollapse minimize close overlayViewDuration otherAdInteraction"
    " interactiveStart"
)
_MODELS: Final = "3.0: cpc cpm cpe cpv, 4.0-4.3: CPC CPM CPE CPV cpc cpm cpe cpv"


def _tracking_events(versions: str, *, from_text: bool = False) -> Element:
    """`TrackingEvents` of creatives."""
    tracking = e(
        "Tracking",
        "tracking_events",
        f"0..* {versions}",
        "anyURI",
        a("event", f"required {versions}", "word", words=_EVENTS),
        a("offset", "3.0-4.3", "offset"),
        from_text=from_text,
    )
    counts = f"0..1 {versions}"
    return e("TrackingEvents", "", counts, "container", tracking, from_text=from_text)


def _creative_extensions(versions: str, *attributes: Attribute) -> Element:
    """`CreativeExtensions`: XML of the parties' own."""
    extension = e(
        "CreativeExtension", "creative_extensions", f"0..* {versions}", "xml", *attributes
    )
    return e("CreativeExtensions", "", f"0..1 {versions}", "container", extension)


def _resources(counts: str, versions: str, encoded: str) -> tuple[Element, ...]:
    """The three ways to give what a companion, an icon or a non-linear ad shows."""
    xml_encoded = [a("xmlEncoded", encoded, "boolean")] if encoded else []
    creative_type = a("creativeType", f"required {versions}")
    return (
        e("HTMLResource", "html_resources", counts, "string", *xml_encoded),
        e("IFrameResource", "iframe_resources", counts, "anyURI"),
        e("StaticResource", "static_resources", counts, "anyURI", creative_type),
    )


def _viewable_impression() -> Element:
    return e(
        "ViewableImpression",
        "viewable_impression",
        "0..1 4.0-4.3",
        "container",
        a("id", "4.0-4.3"),
        e("Viewable", "viewables", "0..* 4.0-4.3", "anyURI"),
        e("NotViewable", "not_viewables", "0..* 4.0-4.3", "anyURI"),
        e("ViewUndetermined", "view_undetermineds", "0..* 4.0-4.3", "anyURI"),
    )


def _ad_verifications(*, scripts: str, flash: bool) -> Element:
    """`AdVerifications`; in a Wrapper of 4.0 it only measures."""
    flash_resource = e(
        "FlashResource", "flash_resources", "0..* 4.0", "anyURI", a("apiFramework", "4.0")
    )
    verification = e(
        "Verification",
        "ad_verifications",
        "0..* 4.0-4.3",
        "container",
        a("vendor", "optional 4.0-4.2, required 4.3"),
        e(
            "ExecutableResource",
            "executable_resources",
            "0..* 4.1-4.3",
            "anyURI",
            a("apiFramework", "optional 4.1-4.2, required 4.3"),
            a("type", "optional 4.1-4.2, required 4.3"),
            a("language", "4.3", from_text="4.3"),
        ),
        *([flash_resource] if flash else []),
        e(
            "JavaScriptResource",
            "javascript_resources",
            f"0..* {scripts}",
            "anyURI",
            a("apiFramework", f"optional {scripts.replace('4.3', '4.2')}, required 4.3"),
            a("browserOptional", "optional 4.1-4.2, required 4.3", "boolean"),
        ),
        e(
            "TrackingEvents",
            "",
            "0..1 4.1-4.3",
            "container",
            e(
                "Tracking",
                "tracking_events",
                "0..* 4.1-4.3",
                "anyURI",
                a("event", "required 4.1-4.3"),
            ),
        ),
        e("VerificationParameters", "verification_parameters", "0..1 4.1-4.3", "string"),
        e("ViewableImpression", "viewable_impression", "0..1 4.0", "anyURI", a("id", "4.0")),
    )
    return e("AdVerifications", "", "0..1 4.0-4.3", "container", verification)


def _extensions() -> Element:
    extension = e("Extension", "extensions", ANY, "xml", a("*", "3.0", "any"), a("type", "3.0-4.3"))
    return e("Extensions", "", OPTIONAL, "container", extension)


_XML_ENCODED: Final = a("xmlEncoded", "3.0-4.3", "boolean")

_ICON_CLICKS: Final = e(
    "IconClicks",
    "icon_clicks",
    "0..1 3.0-4.3",
    "container",
    e(
        "IconClickFallbackImages",
        "",
        "0..1 4.2-4.3",
        "container",
        e(
            "IconClickFallbackImage",
            "icon_click_fallback_images",
            "1..* 4.2-4.3",
            "container",
            a("height", "optional 4.2, required 4.3", "integer"),
            a("width", "optional 4.2, required 4.3", "integer"),
            e("AltText", "alt_text", "0..1 4.2-4.3", "string"),
            e("StaticResource", "static_resource", "0..1 4.2-4.3", "anyURI"),
        ),
    ),
    e("IconClickThrough", "icon_click_through", "0..1 3.0-4.3", "anyURI"),
    e("IconClickTracking", "icon_click_trackings", "0..* 3.0-4.3", "anyURI", a("id", "3.0-4.3")),
    order={
        "3.0": "IconClickTracking IconClickThrough",
        "4.0": "IconClickFallbackImages IconClickThrough IconClickTracking",
    },
)

_ICONS: Final = e(
    "Icons",
    "",
    "0..1 3.0-4.3",
    "container",
    e(
        "Icon",
        "icons",
        "1..* 3.0, 0..1 4.0-4.1, 1..* 4.2-4.3",
        "container",
        a("program", "required 3.0, optional 4.0-4.3"),
        a("width", "required 3.0, optional 4.0-4.3", "integer"),
        a("height", "required 3.0, optional 4.0-4.3", "integer"),
        a("xPosition", "required 3.0, optional 4.0-4.3", "x position"),
        a("yPosition", "required 3.0, optional 4.0-4.3", "y position"),
        a("offset", "3.0-4.3", "time"),
        a("duration", "3.0-4.3", "time"),
        a("apiFramework", "3.0-4.3"),
        a("pxratio", "4.0-4.3", "decimal"),
        a("altText", "4.3"),
        a("hoverText", "4.3"),
        a("regs", "3.0-4.3", "integer", from_text="3.0-4.3"),
        *_resources("0..1 3.0, 0..* 4.0-4.3", "3.0-4.3", "3.0"),
        _ICON_CLICKS,
        e("IconViewTracking", "icon_view_trackings", "0..* 3.0-4.3", "anyURI"),
        order={
            "3.0": "StaticResource IFrameResource HTMLResource IconClicks IconViewTracking",
            "4.0": "HTMLResource IFrameResource StaticResource IconClicks IconViewTracking",
        },
        many=True,
    ),
    order={"4.0": "", "4.2": "Icon"},
)


def _companion_ads(required: str, tracking_ids: str) -> Element:
    """`CompanionAds`, the same in InLine and Wrapper but for two attributes."""
    return e(
        "CompanionAds",
        "companion_ads",
        OPTIONAL,
        "container",
        a("required", required, "word", words="all any none"),
        e(
            "Companion",
            "companions",
            "0..* 2.0-4.2, 1..* 4.3",
            "container",
            a("id"),
            a("width", REQUIRED, "integer"),
            a("height", REQUIRED, "integer"),
            a("expandedWidth", type_="integer"),
            a("expandedHeight", type_="integer"),
            a("apiFramework"),
            a("assetWidth", "3.0-4.3", "integer"),
            a("assetHeight", "3.0-4.3", "integer"),
            a("adSlotId", "optional 3.0, optional 4.1-4.3"),
            a("adSlotID", "4.0"),
            a("pxratio", "4.0-4.3", "decimal"),
            a("renderingMode", "4.1-4.3", "word", words="default end-card concurrent"),
            *_resources("0..1 2.0-3.0, 0..* 4.0-4.3", "2.0-4.3", "3.0"),
            e("AdParameters", "ad_parameters", OPTIONAL, "string", _XML_ENCODED),
            e("AltText", "alt_text", OPTIONAL, "string"),
            e("CompanionClickThrough", "companion_click_through", OPTIONAL, "anyURI"),
            e(
                "CompanionClickTracking",
                "companion_click_trackings",
                "0..* 3.0-4.3",
                "anyURI",
                a("id", tracking_ids),
            ),
            _creative_extensions("3.0-4.3", a("*", "3.0-4.3", "any"), a("type", "4.0-4.3")),
            _tracking_events("2.0-4.3"),
            order={
                "2.0": "StaticResource IFrameResource HTMLResource CreativeExtensions"
                " TrackingEvents CompanionClickThrough CompanionClickTracking AltText"
                " AdParameters",
                "4.0": "HTMLResource IFrameResource StaticResource AdParameters AltText"
                " CompanionClickThrough CompanionClickTracking CreativeExtensions TrackingEvents",
            },
        ),
    )


def _non_linear_ads(non_linear: Element) -> Element:
    return e(
        "NonLinearAds",
        "non_linear_ads",
        OPTIONAL,
        "container",
        _tracking_events("2.0-4.3"),
        non_linear,
    )


_NON_LINEAR_ORDERS: Final = {
    "2.0": "StaticResource IFrameResource HTMLResource CreativeExtensions NonLinearClickTracking"
    " NonLinearClickThrough AdParameters TrackingEvents",
    "4.0": "HTMLResource IFrameResource StaticResource AdParameters NonLinearClickThrough"
    " NonLinearClickTracking TrackingEvents",
}
_INLINE_NON_LINEAR: Final = e(
    "NonLinear",
    "non_linears",
    "1..* 2.0-3.0, 0..* 4.0-4.2, 1..* 4.3",
    "container",
    a("id", from_text="4.0"),
    a("width", REQUIRED, "integer", from_text="4.0"),
    a("height", REQUIRED, "integer", from_text="4.0"),
    a("expandedWidth", type_="integer", from_text="4.0"),
    a("expandedHeight", type_="integer", from_text="4.0"),
    a("scalable", type_="boolean", from_text="4.0"),
    a("maintainAspectRatio", type_="boolean", from_text="4.0"),
    a("minSuggestedDuration", type_="time", from_text="4.0"),
    a("apiFramework", from_text="4.0"),
    *_resources("0..1 2.0-3.0, 0..* 4.0-4.3", "2.0-4.3", "3.0"),
    e("AdParameters", "ad_parameters", OPTIONAL, "string", _XML_ENCODED),
    e("NonLinearClickThrough", "non_linear_click_through", OPTIONAL, "anyURI"),
    e(
        "NonLinearClickTracking",
        "non_linear_click_trackings",
        "0..* 3.0-4.3",
        "anyURI",
        a("id", "3.0-4.3"),
    ),
    _creative_extensions("3.0", a("*", "3.0", "any")),
    _tracking_events("2.0-4.3", from_text=True),
    order=_NON_LINEAR_ORDERS,
)
_WRAPPER_NON_LINEAR: Final = e(
    "NonLinear",
    "non_linears",
    "0..* 2.0-4.2, 1..* 4.3",
    "container",
    a("id", "2.0-3.0"),
    a("width", "required 2.0, optional 3.0", "integer"),
    a("height", "required 2.0, optional 3.0", "integer"),
    a("expandedWidth", "2.0-3.0", "integer"),
    a("expandedHeight", "2.0-3.0", "integer"),
    a("scalable", "2.0-3.0", "boolean"),
    a("maintainAspectRatio", "2.0-3.0", "boolean"),
    a("minSuggestedDuration", "2.0-3.0", "time"),
    a("apiFramework", "2.0-3.0"),
    *_resources("0..1 2.0", "2.0", ""),
    e("AdParameters", "ad_parameters", "0..1 2.0", "string"),
    e("NonLinearClickThrough", "non_linear_click_through", "0..1 2.0", "anyURI"),
    e(
        "NonLinearClickTracking",
        "non_linear_click_trackings",
        "0..* 3.0, 0..1 4.0-4.2, 0..* 4.3",
        "anyURI",
        a("id", "3.0-4.3"),
        many=True,
    ),
    _creative_extensions("3.0", a("*", "3.0", "any")),
    _tracking_events("2.0-4.3", from_text=True),
    order=_NON_LINEAR_ORDERS,
)

_MEDIA_FILES: Final = e(
    "MediaFiles",
    "media_files",
    "0..1 2.0-3.0, 1..1 4.0-4.3",
    "container",
    e(
        "ClosedCaptionFiles",
        "",
        "0..1 4.1-4.3",
        "container",
        e(
            "ClosedCaptionFile",
            "closed_caption_files",
            "0..* 4.1-4.3",
            "anyURI",
            a("type", "4.1-4.3"),
            a("language", "4.1-4.3"),
        ),
    ),
    e(
        "MediaFile",
        "media_files",
        SOME,
        "anyURI",
        a("id"),
        a("delivery", REQUIRED, "word", words="streaming progressive"),
        a("type", REQUIRED),
        a("bitrate", type_="integer"),
        a("width", REQUIRED, "integer"),
        a("height", REQUIRED, "integer"),
        a("scalable", type_="boolean"),
        a("maintainAspectRatio", type_="boolean"),
        a("apiFramework", deprecated="4.1"),
        a("minBitrate", "3.0-4.3", "integer"),
        a("maxBitrate", "3.0-4.3", "integer"),
        a("codec", "3.0-4.3"),
        a("fileSize", "4.1-4.3", "integer"),
        a("mediaType", "4.1-4.3"),
    ),
    e(
        "Mezzanine",
        "mezzanines",
        "0..1 4.0, 0..* 4.1-4.3",
        "anyURI",
        a("id", "4.1-4.3"),
        a("delivery", "required 4.1-4.3", "word", words="streaming progressive"),
        a("type", "required 4.1-4.3"),
        a("width", "required 4.1-4.3", "integer"),
        a("height", "required 4.1-4.3", "integer"),
        a("codec", "4.1-4.3"),
        a("fileSize", "4.1-4.3", "integer"),
        a("mediaType", "4.1-4.3"),
    ),
    e(
        "InteractiveCreativeFile",
        "interactive_creative_files",
        "0..* 4.0-4.3",
        "anyURI",
        a("type", "4.0-4.3"),
        a("apiFramework", "4.0-4.3"),
        a("variableDuration", "4.1-4.3", "boolean"),
    ),
)

_INLINE_LINEAR: Final = e(
    "Linear",
    "linear",
    OPTIONAL,
    "container",
    a("skipoffset", "3.0-4.3", "offset"),
    _ICONS,
    _creative_extensions("3.0", a("*", "3.0", "any")),
    _tracking_events("2.0-4.3"),
    e("AdParameters", "ad_parameters", OPTIONAL, "string", _XML_ENCODED),
    e("Duration", "duration", ONE, "time"),
    _MEDIA_FILES,
    e(
        "VideoClicks",
        "video_clicks",
        OPTIONAL,
        "container",
        e("ClickTracking", "click_trackings", ANY, "anyURI", a("id")),
        e("ClickThrough", "click_through", OPTIONAL, "anyURI", a("id")),
        e("CustomClick", "custom_clicks", ANY, "anyURI", a("id")),
        order={
            "2.0": "ClickThrough ClickTracking CustomClick",
            "4.0": "ClickTracking CustomClick ClickThrough",
            "4.2": "ClickTracking ClickThrough CustomClick",
        },
    ),
    order={
        "2.0": "Icons CreativeExtensions Duration TrackingEvents AdParameters VideoClicks"
        " MediaFiles",
        "4.0": "Icons TrackingEvents AdParameters Duration MediaFiles VideoClicks",
    },
)
_WRAPPER_LINEAR: Final = e(
    "Linear",
    "linear",
    OPTIONAL,
    "container",
    a("skipoffset", "4.0-4.3", "offset"),
    _creative_extensions("3.0", a("*", "3.0", "any")),
    _ICONS,
    _tracking_events("2.0-4.3"),
    e(
        "VideoClicks",
        "video_clicks",
        OPTIONAL,
        "container",
        e("ClickTracking", "click_trackings", ANY, "anyURI", a("id")),
        e("ClickThrough", "click_through", "0..1 4.2-4.3", "anyURI", a("id", "4.2-4.3")),
        e("CustomClick", "custom_clicks", "0..* 3.0-4.3", "anyURI", a("id", "3.0-4.3")),
    ),
)

_CREATIVE_ATTRIBUTES: Final = (
    a("id"),
    a("sequence", type_="integer"),
    a("AdID", "2.0-3.0"),
    a("apiFramework", "4.0-4.3"),
    a("adId", "4.0-4.3"),
)
_INLINE_CREATIVE: Final = e(
    "Creative",
    "creatives",
    SOME,
    "container",
    *_CREATIVE_ATTRIBUTES,
    _companion_ads("3.0-4.3", "optional 3.0, required 4.0-4.2, optional 4.3"),
    _creative_extensions("3.0-4.3", a("type", "3.0-4.3"), a("*", "4.0-4.3", "any")),
    _INLINE_LINEAR,
    _non_linear_ads(_INLINE_NON_LINEAR),
    e(
        "UniversalAdId",
        "universal_ad_ids",
        "1..1 4.0-4.1, 1..* 4.2-4.3",
        "string",
        a("idRegistry", "required 4.0-4.3"),
        a("idValue", "required 4.0"),
    ),
    order={
        "2.0": "Linear CompanionAds NonLinearAds CreativeExtensions",
        "4.0": "",
        "4.2": "CompanionAds CreativeExtensions Linear NonLinearAds UniversalAdId",
    },
)
_WRAPPER_CREATIVE: Final = e(
    "Creative",
    "creatives",
    "0..* 2.0-3.0, 1..* 4.0-4.3",
    "container",
    *_CREATIVE_ATTRIBUTES,
    _companion_ads("4.0-4.3", "required 4.0-4.2, optional 4.3"),
    _WRAPPER_LINEAR,
    _non_linear_ads(_WRAPPER_NON_LINEAR),
    order={"2.0": "Linear CompanionAds NonLinearAds", "4.0": "CompanionAds Linear NonLinearAds"},
)


def _pricing(versions: str) -> Element:
    return e(
        "Pricing",
        "pricing",
        f"0..1 {versions}",
        "decimal",
        a("model", f"required {versions}", "model", words=_MODELS),
        a("currency", f"required {versions}", "currency"),
    )


_AD_SYSTEM: Final = e("AdSystem", "ad_system", ONE, "string", a("version"))
_ERROR: Final = e("Error", "errors", "0..1 2.0-3.0, 0..* 4.0-4.3", "anyURI")

_INLINE: Final = e(
    "InLine",
    "inline",
    OPTIONAL,
    "container",
    _AD_SYSTEM,
    _ERROR,
    _extensions(),
    e("Impression", "impressions", SOME, "anyURI", a("id")),
    _pricing("3.0-4.3"),
    _viewable_impression(),
    e("AdServingId", "ad_serving_id", "1..1 4.1-4.3", "string"),
    e("AdTitle", "ad_title", ONE, "string"),
    _ad_verifications(scripts="4.0-4.3", flash=True),
    e(
        "Advertiser",
        "advertiser",
        "0..1 3.0-4.3",
        "string",
        a("id", "4.1-4.3", from_text="4.1-4.3"),
    ),
    e(
        "Category",
        "categories",
        "0..* 4.0-4.3",
        "string",
        a("authority", "required 4.0-4.3", "anyURI"),
    ),
    e("Creatives", "", ONE, "container", _INLINE_CREATIVE),
    e("Description", "description", OPTIONAL, "string"),
    e("Expires", "expires", "0..1 4.1-4.3", "integer"),
    e(
        "Survey",
        "surveys",
        "0..1 2.0-4.2, 0..* 4.3",
        "anyURI",
        a("type", "3.0-4.3"),
        deprecated="4.1",
    ),
    order={
        "2.0": "AdSystem AdTitle Description Advertiser Pricing Survey Error Impression Creatives"
        " Extensions",
        "4.0": "AdSystem Error Extensions Impression Pricing ViewableImpression AdServingId AdTitle"
        " AdVerifications Advertiser Category Creatives Description Expires Survey",
    },
)
_WRAPPER: Final = e(
    "Wrapper",
    "wrapper",
    OPTIONAL,
    "container",
    a("followAdditionalWrappers", "3.0-4.3", "boolean"),
    a("allowMultipleAds", "3.0-4.3", "boolean"),
    a("fallbackOnNoAd", "3.0-4.3", "boolean"),
    _AD_SYSTEM,
    _ERROR,
    _extensions(),
    e("Impression", "impressions", SOME, "anyURI", a("id", "3.0-4.3")),
    _pricing("4.0-4.3"),
    _viewable_impression(),
    _ad_verifications(scripts="4.1-4.3", flash=False),
    e(
        "BlockedAdCategories",
        "blocked_ad_categories",
        "0..* 4.1-4.3",
        "string",
        a("authority", "optional 4.1-4.2, required 4.3", "anyURI"),
    ),
    e("Creatives", "", "1..1 2.0-3.0, 0..1 4.0-4.3", "container", _WRAPPER_CREATIVE),
    e("VASTAdTagURI", "vast_ad_tag_uri", ONE, "anyURI"),
    order={
        "2.0": "AdSystem VASTAdTagURI Error Impression Creatives Extensions",
        "4.0": "AdSystem Error Extensions Impression Pricing ViewableImpression AdVerifications"
        " BlockedAdCategories Creatives VASTAdTagURI",
    },
)

VAST: Final[Element] = e(
    "VAST",
    "",
    ONE,
    "container",
    a("version", REQUIRED),
    e(
        "Ad",
        "ads",
        ANY,
        "container",
        a("id", "required 2.0, optional 3.0-4.3"),
        a("sequence", "3.0-4.3", "integer"),
        a("conditionalAd", "4.0-4.3", "boolean", deprecated="4.1"),
        a("adType", "4.1-4.3", "word", words="video audio hybrid"),
        _INLINE,
        _WRAPPER,
    ),
    e("Error", "errors", "0..1 3.0, 0..* 4.0-4.3", "anyURI"),
)


def _depth(element: Element) -> int:
    return 1 + max(map(_depth, element.children), default=0)


DEEPEST: Final = _depth(VAST)
"""Elements within each other in the deepest place that VAST has."""
