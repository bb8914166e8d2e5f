# Generated from proto/ by clients/python/generate_typeddicts.py. Do not edit.
# ruff: noqa: D205 - the sentences are the contract's own, some longer than a line
"""OpenRTB 2.6 and Native 1.2 as TypedDicts: what a client sends and gets as dicts.

No member is required for the type checker; "Required" in a text is OpenRTB's word. Flags are 0
or 1. An `ext` takes any members beside those that are typed.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class BidRequest(TypedDict, total=False):
    """One auction offered to a bidder: the imps for sale, where they appear, on which device and
    to whom.

    What stands here at the top (lists of seats, categories, advertisers, languages) holds for every
    imp of the request. OpenRTB 2.6 section 3.2.1.
    """

    id: str
    """Names this request; the response repeats it in BidResponse.id. Unique within the exchange,
    which may give each recipient another value for the same auction. Required."""

    imp: list[Imp]
    """The imps on offer. One request can offer several, such as all slots of a page or of a pod.
    Required."""

    site: Site
    """The website that shows the ad. Set for inventory in a browser; a request is for a site, an
    app or DOOH, never two of them. Recommended."""

    app: App
    """The app that shows the ad. Set for inventory outside a browser, mobile and CTV alike; a
    request is for a site, an app or DOOH, never two of them. Recommended."""

    dooh: Dooh
    """The Digital Out-Of-Home screen that shows the ad, where one play reaches many people. A
    request is for a site, an app or DOOH, never two of them."""

    device: Device
    """The device that will show the ad. Recommended."""

    user: User
    """What is known of the person at the device: ids, consent and audience data. Recommended."""

    test: Literal[0, 1]
    """True for a test: the auction runs, but nothing is billed. Flag: 0 or 1 in JSON. Default:
    0."""

    at: int
    """How the winner pays: 1 is first price, 2 is second price plus an increment. From 500 on,
    the values are the exchange's own; a deal can override it in Deal.at. Default: 2. Values:
    AdCOM list "Auction Types" (enum AuctionType)."""

    tmax: int
    """Time for the whole round trip, network included; an answer that comes later is lost. It
    overrides any limit agreed beforehand; absent means that such a limit holds. Unit: ms."""

    wseat: list[str]
    """Seats that may bid, by the ids agreed between bidder and exchange. Not together with
    bseat; empty means any seat, unless bseat names it."""

    bseat: list[str]
    """Seats that may not bid, by the ids agreed between bidder and exchange. Not together with
    wseat; empty means that no seat is blocked."""

    allimps: Literal[0, 1]
    """True if the exchange can vouch that these imps are all there are in this place, say on the
    page or in the video, so that one buyer can take them all. False means no, or not known.
    Flag: 0 or 1 in JSON. Default: 0."""

    cur: list[str]
    """Currencies in which bids may be made, as ISO 4217 codes such as USD or EUR. Empty means
    that bids are in USD. Format: ISO-4217 alpha."""

    wlang: list[str]
    """Languages that creatives may use, as two-letter ISO 639-1 codes such as en. Not together
    with wlangb; if both are empty any language may bid, and Device.language or
    Content.language can guide the choice. Format: ISO-639-1 alpha-2."""

    wlangb: list[str]
    """Languages that creatives may use, as BCP 47 tags such as zh-Hant, which also tell script
    and region. Not together with wlang; if both are empty any language may bid. Format: BCP
    47."""

    acat: list[str]
    """The only advertiser categories that may bid, as ids of the taxonomy named by cattax. Not
    together with bcat. Taxonomy: `cattax`."""

    bcat: list[str]
    """Advertiser categories that may not bid, as ids of the taxonomy named by cattax, such as
    IAB25. Not together with acat. Taxonomy: `cattax`."""

    cattax: int
    """Taxonomy of the ids in bcat and acat. Default: 1. Values: AdCOM list "Category Taxonomies"
    (enum CategoryTaxonomy)."""

    badv: list[str]
    """Advertisers that may not bid, each by its domain, such as example.com."""

    bapp: list[str]
    """Apps that may not be advertised, each by its id in its store: a package name such as
    com.example.game at Google Play, a number at Apple's App Store, the platform's id on CTV.
    It is compared with Bid.bundle."""

    source: Source
    """Where the request came from upstream, who decides in the end, and through which sellers it
    passed."""

    regs: Regs
    """The laws and industry rules that bind this request."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class App(TypedDict, total=False):
    """An application outside the browser in which the ad is shown, on a phone, a tablet or a TV.

    An id or a bundle should be given. OpenRTB 2.6 section 3.2.14.
    """

    id: str
    """The exchange's id of the app. Recommended."""

    name: str
    """Name of the app. The publisher may ask for an alias here."""

    bundle: str
    """Id of the app in its store: a package name such as com.example.game at Google Play, a
    number at Apple's App Store, on CTV what the platform's store assigns."""

    domain: str
    """Domain of the app, such as mygame.example.com."""

    storeurl: str
    """Address of the app's page in its store."""

    cattax: int
    """Taxonomy of the ids in cat, sectioncat and pagecat. Default: 1. Values: AdCOM list
    "Category Taxonomies" (enum CategoryTaxonomy)."""

    cat: list[str]
    """Content categories of the app, as ids of the taxonomy named by cattax. Taxonomy: `cattax`."""

    sectioncat: list[str]
    """Content categories of the part of the app the user is in, as ids of the taxonomy named by
    cattax. Taxonomy: `cattax`."""

    pagecat: list[str]
    """Content categories of the screen the user sees, as ids of the taxonomy named by cattax.
    Taxonomy: `cattax`."""

    ver: str
    """Version of the app, as its maker writes it."""

    privacypolicy: Literal[0, 1]
    """True if a privacy policy exists for the app. Absent means not known. Flag: 0 or 1 in JSON."""

    paid: Literal[0, 1]
    """True if the user paid for this version of the app, false if it is free. Flag: 0 or 1 in
    JSON."""

    publisher: Publisher
    """Who sells this app's inventory, and whom the exchange pays for it."""

    content: Content
    """What the user watches, hears, reads or plays in the app while the ad is shown."""

    keywords: str
    """Words about the app, joined by commas. Not together with kwarray."""

    kwarray: list[str]
    """Words about the app, one an item. Not together with keywords."""

    inventorypartnerdomain: str
    """Domain of the owner of the content, who may sell part of the app's inventory. The app's
    app-ads.txt names it as inventorypartnerdomain, and the ads.txt at that domain says who is
    authorized."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Audio(TypedDict, total=False):
    """Offers the imp as an audio ad, answered as a rule with VAST.

    It can describe a single slot, or a dynamic pod whose time is filled with several ads. OpenRTB
    2.6 section 3.2.8.
    """

    mimes: list[str]
    """Media types the player can play, such as audio/mp4 or audio/mpeg. Required."""

    minduration: int
    """Shortest ad accepted. Not together with rqddurs. Recommended. Unit: s. Default: 0."""

    maxduration: int
    """Longest ad accepted; in a pod it limits each ad, not the break, which poddur limits. Not
    together with rqddurs. Recommended. Unit: s."""

    poddur: int
    """Total time to fill in a dynamic pod, or in the dynamic part of a hybrid pod, and required
    there. It is the length of the break; minduration, maxduration and rqddurs bound each ad
    in it. Recommended. Unit: s."""

    protocols: list[int]
    """VAST and DAAST versions that may be answered; the list tells wrappers from InLine ads, so
    both values are given where wrappers are allowed. Recommended. Values: AdCOM list
    "Creative Subtypes - Audio/Video" (enum CreativeSubtype)."""

    startdelay: int
    """When the ad starts in the content: above 0 is a mid-roll at that second, 0 a pre-roll, -1
    a mid-roll at no set time, -2 a post-roll at no set time. Recommended. Unit: s. Values:
    AdCOM list "Start Delay Modes" (enum StartDelayMode)."""

    rqddurs: list[int]
    """The only durations accepted, each exact to the second, as live radio needs to avoid dead
    air. Not together with minduration or maxduration. Unit: s."""

    podid: str
    """Names the ad pod this imp belongs to. Imps of one request with the same podid are slots of
    one break; absent means no pod."""

    podseq: int
    """Which pod of the stream this is: the first, the last or any. Default: 0. Values: AdCOM
    list "Pod Sequence" (enum PodSequence)."""

    sequence: int
    """Place of this imp among those of the request that are played together. slotinpod replaces
    it. Default: 0. Deprecated in 2.6; use `slotinpod`."""

    slotinpod: int
    """Place in the pod that the seller can guarantee to the winner: the first, the last, either
    of these or any. Default: 0. Values: AdCOM list "Slot Position in Pod" (enum
    SlotPositionInPod)."""

    mincpmpersec: float
    """Floor in CPM for each second of the ad, meant for the dynamic part of a pod: an ad of 20
    seconds at 0.5 needs a bid of 10. It is in Imp.bidfloorcur and goes before Imp.bidfloor.
    Not together with durfloors. Unit: CPM per second."""

    battr: list[int]
    """Creative attributes that are refused; compared with Bid.attr. Values: AdCOM list "Creative
    Attributes" (enum CreativeAttribute)."""

    maxextended: int
    """By how much an ad may outlast maxduration: 0 or absent not at all, -1 without limit, above
    0 by that many seconds. Unit: s."""

    minbitrate: int
    """Lowest bit rate of the media file. Unit: kbps."""

    maxbitrate: int
    """Highest bit rate of the media file. Unit: kbps."""

    delivery: list[int]
    """Ways in which the media file may be delivered. Empty means that all are supported. Values:
    AdCOM list "Delivery Methods" (enum DeliveryMethod)."""

    companionad: list[Banner]
    """Places for companion banners that are shown along with the audio ad. Empty means that
    there are none."""

    api: list[int]
    """API frameworks the player supports. One that is not listed counts as not supported.
    Values: AdCOM list "API Frameworks" (enum ApiFramework)."""

    companiontype: list[int]
    """Kinds of VAST companion resource supported in companionad. Values: AdCOM list "Companion
    Types" (enum CompanionType)."""

    maxseq: int
    """Most ads that may be played in the pod; with poddur it bounds a dynamic pod. Absent means
    that only the time limits their number."""

    feed: int
    """Kind of audio programme around the ad, such as music streaming, radio or podcast. Values:
    AdCOM list "Feed Types" (enum FeedType)."""

    stitched: Literal[0, 1]
    """True if the ad is stitched into the audio stream, false if it is delivered on its own.
    Flag: 0 or 1 in JSON."""

    nvol: int
    """How the player evens out the loudness of ads. Values: AdCOM list "Volume Normalization
    Modes" (enum VolumeNormalizationMode)."""

    durfloors: list[DurFloors]
    """Floors by duration of the ad, in the currency of Imp.bidfloorcur. Not together with
    mincpmpersec; a duration outside all ranges has Imp.bidfloor as its floor."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Banner(TypedDict, total=False):
    """Offers the imp as a display ad, from a still image to rich media in a frame.

    In companionad of Video and Audio it describes the place of a companion ad instead. OpenRTB 2.6
    section 3.2.6.
    """

    format: list[Format]
    """Sizes accepted, fixed ones or ratios; a bid needs to fit one of them. If empty, w and h
    give the one size. Recommended."""

    w: int
    """The one width accepted, in device-independent pixels; given with h when format is empty."""

    h: int
    """The one height accepted, in device-independent pixels; given with w when format is empty."""

    btype: list[int]
    """Kinds of banner markup that are refused. Values: AdCOM list "Banner Ad Types" (enum
    BannerAdType)."""

    battr: list[int]
    """Creative attributes that are refused; compared with Bid.attr. Values: AdCOM list "Creative
    Attributes" (enum CreativeAttribute)."""

    pos: int
    """Where on the screen the ad appears. Values: AdCOM list "Placement Positions" (enum
    PlacementPosition)."""

    mimes: list[str]
    """Media types the place can show, such as image/jpeg, image/gif or text/html."""

    topframe: Literal[0, 1]
    """True if the ad sits in the page's top frame, false if it sits in an iframe. Flag: 0 or 1
    in JSON."""

    expdir: list[int]
    """Where an expandable banner may grow to. Empty means that nothing is said about expanding.
    Values: AdCOM list "Expandable Directions" (enum ExpandableDirection)."""

    api: list[int]
    """API frameworks the place supports, such as MRAID or OMID. One that is not listed counts as
    not supported. Values: AdCOM list "API Frameworks" (enum ApiFramework)."""

    id: str
    """Names this banner within the imp, such as 1, 2 and so on. Needed to tell several
    companions apart."""

    vcm: Literal[0, 1]
    """For a companion of a video only: true if it is shown after the video as an end card, false
    if it is shown while the video plays. Flag: 0 or 1 in JSON."""

    wmax: int
    """Greatest width in device-independent pixels, from releases before format. Give the sizes
    in format instead. Deprecated."""

    hmax: int
    """Greatest height in device-independent pixels, from releases before format. Give the sizes
    in format instead. Deprecated."""

    wmin: int
    """Smallest width in device-independent pixels, from releases before format. Give the sizes
    in format instead. Deprecated."""

    hmin: int
    """Smallest height in device-independent pixels, from releases before format. Give the sizes
    in format instead. Deprecated."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class BrandVersion(TypedDict, total=False):
    """A browser, a platform or a like part of the user agent, with its version, as User-Agent
    Client Hints tell it.

    OpenRTB 2.6 section 3.2.30.
    """

    brand: str
    """Name of the browser or platform, such as Chrome or Windows. From Sec-CH-UA-Full-Version-
    List for browsers, from Sec-CH-UA-Platform for the platform. Required."""

    version: list[str]
    """The version taken apart, major part first: 105.0.5195.52 becomes 105, 0, 5195, 52."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Channel(TypedDict, total=False):
    """The channel or station that carries the content, as the viewer or listener picks it.

    Its parent is the Network. OpenRTB 2.6 section 3.2.24.
    """

    id: str
    """The publisher's id of the channel. It may mean something else at another seller."""

    name: str
    """Name of the channel for people to read, such as Arte."""

    domain: str
    """Main domain of the channel, best as registrable domain (public suffix and one label) so
    that buyers can target it."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Content(TypedDict, total=False):
    """The content around the ad: the programme, video, track, game or article.

    It helps most where content is syndicated and differs from what the site or app is about.
    OpenRTB 2.6 section 3.2.16.
    """

    id: str
    """The publisher's own id of this piece of content. Ids from other parties go to Data.cids."""

    episode: int
    """Number of the episode within the season or series."""

    title: str
    """Title of the piece: of an episode, a film, a track or an article."""

    series: str
    """Series the piece belongs to, such as a TV show, a run of films or a column."""

    season: str
    """Season of the series as text, such as 'Season 3' or '25'."""

    artist: str
    """Artist credited with the content."""

    genre: str
    """Genre as free text, such as rock or drama. genres gives it as ids of a taxonomy."""

    gtax: int
    """Taxonomy of the ids in genres; vendors' own from 500 on. Default: 9. Values: AdCOM list
    "Category Taxonomies" (enum CategoryTaxonomy)."""

    genres: list[str]
    """Genres of the content as a whole, as ids of the taxonomy named by gtax, the best fit
    first. Finer topics go to cat. Taxonomy: `gtax`."""

    album: str
    """Album the track belongs to."""

    isrc: str
    """International Standard Recording Code of the recording (ISO 3901), 12 characters such as
    USRC17607839. Format: ISO-3901."""

    producer: Producer
    """Who made the content, where that is not the publisher."""

    url: str
    """Address of the content, for the buyer to classify or review."""

    cattax: int
    """Taxonomy of the ids in cat. Default: 1. Values: AdCOM list "Category Taxonomies" (enum
    CategoryTaxonomy)."""

    cat: list[str]
    """Content categories of the piece, as ids of the taxonomy named by cattax. The genre goes to
    genres. Taxonomy: `cattax`."""

    prodq: int
    """Quality of the production, from professional to made by users. Values: AdCOM list
    "Production Qualities" (enum ProductionQuality)."""

    context: int
    """Kind of content, such as video, game, music or text. Values: AdCOM list "Content Contexts"
    (enum ContentContext)."""

    contentrating: str
    """Rating for audiences as the rating body writes it, such as PG-13 or TV-MA."""

    userrating: str
    """Rating by users in the site's own form, such as a number of stars or likes."""

    qagmediarating: int
    """Suitability for audiences by the IQG guidelines. Values: AdCOM list "Media Ratings" (enum
    MediaRating)."""

    keywords: str
    """Words about the content, joined by commas. Not together with kwarray."""

    kwarray: list[str]
    """Words about the content, one an item. Not together with keywords."""

    livestream: Literal[0, 1]
    """True for a scheduled broadcast that all watch at once (linear), false for content the user
    starts, such as video on demand. Whether the event itself is live is told by realtime.
    Flag: 0 or 1 in JSON."""

    sourcerelationship: Literal[0, 1]
    """True if the content comes from its source directly, false if it comes by way of others.
    Flag: 0 or 1 in JSON."""

    len: int
    """Length of the video or audio content. Unit: s."""

    language: str
    """Language of the content as a two-letter ISO 639-1 code, such as en. Not together with
    langb. Format: ISO-639-1 alpha-2."""

    langb: str
    """Language of the content as a BCP 47 tag, such as pt-BR. Not together with language.
    Format: BCP 47."""

    embeddable: Literal[0, 1]
    """True if others may embed the content, as a player on another page; absent means not known.
    Flag: 0 or 1 in JSON."""

    data: list[Data]
    """Further data about the content, one entry for each source; not about the user."""

    network: Network
    """The network that carries the content, parent of the channel."""

    channel: Channel
    """The channel or station that carries the content."""

    realtime: Literal[0, 1]
    """True if the event happens while it is watched, as in a live match; false if it does not,
    as in a replay. Independent of livestream, which tells a scheduled broadcast; absent means
    not known. Flag: 0 or 1 in JSON. In the specification but not in IAB's proto: the number
    is XSP's own."""

    firstbroadcast: Literal[0, 1]
    """True if the content reaches an audience for the first time with this broadcast, false for
    a rerun; absent means not known. Flag: 0 or 1 in JSON. In the specification but not in
    IAB's proto: the number is XSP's own."""

    videoquality: int
    """Production quality of a video, from OpenRTB before 2.4. prodq replaces it. Deprecated."""

    ext: ContentExt | dict[str, Any]
    """Extensions: any members. ContentExt has those that IAB Tech Lab defines."""


class ContentExt(TypedDict, total=False):
    """Members of Content.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    feedurls: list[str]
    """Addresses of the pieces of content right next to the ad in a feed or a grid, for review by
    the buyer: two in a vertical feed, eight around the centre of nine tiles. The page itself
    stays in Content.url."""


class Data(TypedDict, total=False):
    """Data about a user or a content from one provider: segments, and ids the provider gave to
    the content.

    OpenRTB 2.6 section 3.2.21.
    """

    id: str
    """The exchange's id of the data provider."""

    name: str
    """The exchange's name of the data provider. With cids, or for audiences defined by the
    seller, it is the provider's root domain, such as example.com."""

    cids: list[str]
    """Ids that the source in name gave to this very piece of video or audio content, for
    contextual vendors to look up. Only for data of a Content; ids of classes belong in
    genres, cat or segment. In the specification but not in IAB's proto: the number is XSP's
    own."""

    segment: list[Segment]
    """The data itself: segments of this provider."""

    ext: DataExt | dict[str, Any]
    """Extensions: any members. DataExt has those that IAB Tech Lab defines."""


class DataExt(TypedDict, total=False):
    """Members of Data.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    cids: list[str]
    """Ids that the source in Data.name gave to the content, in their place before OpenRTB had
    Data.cids. New senders use Data.cids."""


class Deal(TypedDict, total=False):
    """A deal struck between a seller and buyers beforehand, under which this imp can be bought.

    A bid takes it by naming its id in Bid.dealid. OpenRTB 2.6 section 3.2.12.
    """

    id: str
    """Id of the deal, known to both sides. Required."""

    bidfloor: float
    """Lowest bid accepted under the deal, or the agreed price itself where at is 3. Not together
    with mincpmpersec or durfloors. If none of the three is written, the floors of Video or
    Audio hold, else that of Imp. Unit: CPM. Default: 0."""

    bidfloorcur: str
    """Currency of the deal's floors as an ISO 4217 code. It is not taken from Imp.bidfloorcur:
    absent means USD even where the imp's floor is in another currency. Format: ISO-4217
    alpha. Default: USD."""

    at: int
    """How bids under this deal pay: at 1 their own price, at 2 the second price plus an
    increment, at 3 the price agreed in bidfloor. Other values are the exchange's own; absent
    means that BidRequest.at holds. Values: AdCOM list "Auction Types" (enum AuctionType)."""

    wseat: list[str]
    """The only seats that may use the deal, by the ids agreed between bidder and exchange. Empty
    means any seat."""

    wadomain: list[str]
    """The only advertisers that may use the deal, each by its domain. Empty means any
    advertiser."""

    guar: int
    """1 for a guaranteed deal, on which the bidder must bid; 0 for any other. Flag: 0 or 1 in
    JSON. Default: 0."""

    mincpmpersec: float
    """Floor in CPM for each second of a video or audio ad, in the currency of bidfloorcur. Not
    together with bidfloor or durfloors. Unit: CPM per second."""

    durfloors: list[DurFloors]
    """Floors by duration of a video or audio ad, in the currency of bidfloorcur. Not together
    with bidfloor or mincpmpersec."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Device(TypedDict, total=False):
    """The device that will show the ad: its hardware, system, network, place and the limits its
    user has set on tracking.

    OpenRTB 2.6 section 3.2.18.
    """

    geo: Geo
    """Where the device is, taken as the user's present place. User.geo is the user's home
    instead. Recommended."""

    dnt: Literal[0, 1]
    """The browser's Do Not Track header: true asks not to be tracked, false sets no limit.
    Absent means not known. Recommended. Flag: 0 or 1 in JSON."""

    lmt: Literal[0, 1]
    """The system's limit on ad tracking, such as on iOS or Android: true means that tracking
    must be limited by the platform's rules. Absent means not known. Recommended. Flag: 0 or 1
    in JSON."""

    ua: str
    """The browser's User-Agent header as received, never made up or inferred. Where sua is
    present it is the better source, since browsers freeze or shorten this text."""

    sua: UserAgent
    """The user agent in parts, from User-Agent Client Hints. It goes before ua where both are
    present."""

    ip: str
    """IPv4 address nearest to the device, such as 192.0.2.1. Both ip and ipv6 may be set.
    Format: IPv4."""

    ipv6: str
    """IPv6 address nearest to the device, such as 2001:db8::1. Both ip and ipv6 may be set.
    Format: IPv6."""

    devicetype: int
    """Kind of device, such as phone, connected TV or out-of-home screen. Values: AdCOM list
    "Device Types" (enum DeviceType)."""

    make: str
    """Maker of the device, such as Samsung."""

    model: str
    """Model of the device, such as Galaxy S24."""

    os: str
    """Operating system, such as iOS or Android."""

    osv: str
    """Version of the operating system as text, such as 17.4.1."""

    hwv: str
    """Version of the hardware within its model, such as 5S."""

    h: int
    """Height of the screen in physical pixels."""

    w: int
    """Width of the screen in physical pixels."""

    ppi: int
    """Pixels per linear inch of the screen; with w and h it gives the size of an out-of-home
    screen."""

    pxratio: float
    """Physical pixels for each device-independent pixel, such as 2.0."""

    js: Literal[0, 1]
    """True if the device runs JavaScript in ads. Flag: 0 or 1 in JSON."""

    geofetch: Literal[0, 1]
    """True if JavaScript in the ad can ask the device for its location. Flag: 0 or 1 in JSON."""

    flashver: str
    """Version of Flash in the browser."""

    language: str
    """Language of the browser as a two-letter ISO 639-1 code, such as en. Not together with
    langb. Format: ISO-639-1 alpha-2."""

    langb: str
    """Language of the browser as a BCP 47 tag, such as zh-Hant-TW. Not together with language.
    Format: BCP 47."""

    carrier: str
    """Mobile carrier or internet provider, by a name from the exchange's list, such as ORANGE.
    mccmnc gives mobile carriers by code."""

    mccmnc: str
    """Home network of the SIM as country and network code with a dash, such as 262-01. It stays
    the same while roaming. Format: MCC-MNC with the dash."""

    connectiontype: int
    """Kind of network connection the device is on. Values: AdCOM list "Connection Types" (enum
    ConnectionType)."""

    ifa: str
    """The device's id for advertising, in clear and not hashed; unless buyer and seller agreed
    otherwise it comes from the operating system. Ext.ifa_type says who made it."""

    didsha1: str
    """SHA-1 hash of a hardware id such as the IMEI. No id of this kind is sent any more; ifa is
    the id for advertising. Deprecated in 2.6."""

    didmd5: str
    """MD5 hash of a hardware id such as the IMEI. No id of this kind is sent any more; ifa is
    the id for advertising. Deprecated in 2.6."""

    dpidsha1: str
    """SHA-1 hash of a platform id such as the Android ID. No id of this kind is sent any more;
    ifa is the id for advertising. Deprecated in 2.6."""

    dpidmd5: str
    """MD5 hash of a platform id such as the Android ID. No id of this kind is sent any more; ifa
    is the id for advertising. Deprecated in 2.6."""

    macsha1: str
    """SHA-1 hash of the MAC address. No id of this kind is sent any more; ifa is the id for
    advertising. Deprecated in 2.6."""

    macmd5: str
    """MD5 hash of the MAC address. No id of this kind is sent any more; ifa is the id for
    advertising. Deprecated in 2.6."""

    ext: DeviceExt | dict[str, Any]
    """Extensions: any members. DeviceExt has those that IAB Tech Lab defines."""


class DeviceExt(TypedDict, total=False):
    """Members of Device.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    atts: int
    """Status of App Tracking Transparency on iOS: 0 not determined, 1 restricted, 2 denied, 3
    authorized. On iOS 14 and later lmt follows from it: false for 3, true for the rest."""

    ifv: str
    """Apple's identifier for vendor (IDFV), a UUID that all apps of one vendor share on a
    device. It serves to cap frequency where there is no ifa."""

    cdep: str
    """Chrome's test label for cookie deprecation, passed on as received from the browser or the
    partner upstream."""

    ifa_type: str
    """Who made Device.ifa: dpid the device, ppid the publisher, sspid the SSP, sessionid a
    short-lived id for a session."""


class Dooh(TypedDict, total=False):
    """Digital Out-Of-Home inventory: a public screen, or a group of screens sold as one.

    An id or a venuetype should be given; how many people one play reaches is told by Imp.qty.
    OpenRTB 2.6 section 3.2.32.
    """

    id: str
    """The exchange's id of the screen or of the group of screens. Recommended."""

    name: str
    """Name of the screen or group."""

    venuetype: list[str]
    """Kind of place the screen stands in, as ids of the taxonomy named by venuetypetax.
    Taxonomy: `venuetypetax`."""

    venuetypetax: int
    """Taxonomy of the ids in venuetype. Default: 1. Values: AdCOM list "DOOH Venue Taxonomies"
    (enum DoohVenueTaxonomy)."""

    publisher: Publisher
    """Who sells this screen's inventory, and whom the exchange pays for it."""

    domain: str
    """Domain of the inventory's owner, such as media.example.com."""

    keywords: str
    """Words about the screen or its place, joined by commas."""

    content: Content
    """What the screen shows around the ad."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class DsaRequest(TypedDict, total=False):
    """What the EU's Digital Services Act asks of bids to be open about: who is behind an ad, and
    by which data on the user it was picked.

    The bid answers in Bid.ext.dsa.
    """

    dsarequired: int
    """Whether bids need DSA information: 0 not required, 1 accepted with or without, 2 required
    and refused without, 3 required as in 2 by a publisher that is an Online Platform."""

    pubrender: int
    """Whether the publisher shows the DSA information to the user: 0 cannot, 1 could, depending
    on the bid's adrender, 2 will."""

    datatopub: int
    """Whether the publisher wants the DSA information itself, say for audits, whoever shows it:
    0 do not send, 1 may be sent, 2 send."""

    transparency: list[Transparency]
    """Parties on the selling side that used parameters of the user, and which ones."""


class DurFloors(TypedDict, total=False):
    """The floor for video or audio ads whose duration lies in a range, such as 8 CPM from 11 to
    20 seconds.

    Ranges may overlap; which one holds then is for buyer and seller to agree. OpenRTB 2.6 section
    3.2.35.
    """

    mindur: int
    """Shortest duration in the range. Absent means no lower end, and then maxdur is needed.
    Unit: s."""

    maxdur: int
    """Longest duration in the range. Absent means no upper end, and then mindur is needed. Unit:
    s."""

    bidfloor: float
    """Lowest bid for a creative in this range, in the currency of the imp's or deal's
    bidfloorcur. A creative outside all ranges has Imp.bidfloor as its floor. Unit: CPM.
    Default: 0."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class EID(TypedDict, total=False):
    """Ids of the user from one source outside the exchange, with how they were matched.

    Sending them needs the agreements that the source demands. OpenRTB 2.6 section 3.2.27.
    """

    inserter: str
    """Domain of the party that put this entry into the request, as it stands in ads.txt for an
    intermediary or in Site or App for a publisher."""

    source: str
    """Domain of the party that defined the ids, such as the id vendor's or the cookie owner's."""

    matcher: str
    """Domain of the party whose technology made the match that mm describes. Absent means the
    same as source; it may be left out where mm is 0, 1 or 2."""

    mm: int
    """How the ids were matched to this user, such as by a cookie sync, by a login or by
    inference. An id derived from an entry matched as 3, 4 or 5 keeps that value. Values:
    AdCOM list "ID Match Methods" (enum IdMatchMethod)."""

    uids: list[UID]
    """The ids from this source."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class UID(TypedDict, total=False):
    """One id of the user from the source of its EID.

    OpenRTB 2.6 section 3.2.28.
    """

    id: str
    """The id itself, as its source writes it."""

    atype: int
    """What the id stands for: a browser or device, an app on a device, or a person across
    devices. Many buyers need it to resolve the id. Values: AdCOM list "Agent Types" (enum
    AgentType)."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Format(TypedDict, total=False):
    """One size accepted for a banner: a fixed one by w and h, or a ratio for a Flex Ad by
    wratio, hratio and wmin.

    OpenRTB 2.6 section 3.2.10.
    """

    w: int
    """Width in device-independent pixels of a fixed size, together with h."""

    h: int
    """Height in device-independent pixels of a fixed size, together with w."""

    wratio: int
    """Width of a ratio, such as 16 in 16:9, together with hratio."""

    hratio: int
    """Height of a ratio, such as 9 in 16:9, together with wratio."""

    wmin: int
    """Smallest width in device-independent pixels at which an ad sized by ratio is shown."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Geo(TypedDict, total=False):
    """A place on earth: of the device under Device, of the user's home under User. lat and lon
    are given only where they are as exact as type says, never the middle of a region.

    OpenRTB 2.6 section 3.2.19.
    """

    lat: float
    """Latitude in degrees from -90 to 90, south negative."""

    lon: float
    """Longitude in degrees from -180 to 180, west negative."""

    type: int
    """Where lat and lon come from: a device's location service, the IP address or the user.
    Values: AdCOM list "Location Types" (enum LocationType)."""

    accuracy: int
    """How exact lat and lon are, as the device reports it. Given where they come from its
    location service (type 1). Unit: m."""

    lastfix: int
    """Age of the location: time since the fix was taken, not since it was last read from a
    cache. Unit: s."""

    ipservice: int
    """Which service found the place from the IP address; only where type is 2. Values: AdCOM
    list "IP Location Services" (enum IpLocationService)."""

    country: str
    """Country as a three-letter ISO 3166-1 code, such as USA. Format: ISO-3166-1 alpha-3."""

    region: str
    """Region of the country by its ISO 3166-2 code; in the USA the two letters of the state,
    such as CA. Format: ISO-3166-2; US state as 2 letters."""

    regionfips104: str
    """Region of the country by FIPS 10-4, a code that its keeper withdrew in 2008. Use region."""

    metro: str
    """Metropolitan area by Google's metro code, close to Nielsen's DMA but not the same."""

    city: str
    """City by its UN/LOCODE, such as DEBER for Berlin."""

    zip: str
    """Postal code."""

    utcoffset: int
    """Local time as minutes from UTC, west negative: -300 is UTC-05:00. Unit: min."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Imp(TypedDict, total=False):
    """One ad opportunity for sale.

    Each of banner, video, audio and native that is present is a media type in which it may be
    filled; at least one is needed, and a bid fits one of them. OpenRTB 2.6 section 3.2.4.
    """

    id: str
    """Names the imp within the request, such as 1; bids point to it by Bid.impid. Required."""

    metric: list[Metric]
    """Figures about the imp's past performance, such as viewability."""

    banner: Banner
    """Offers the imp as a banner."""

    video: Video
    """Offers the imp as video."""

    audio: Audio
    """Offers the imp as audio."""

    native: Native
    """Offers the imp as a native ad."""

    pmp: Pmp
    """Deals under which the imp can be bought. Absent means the open auction only."""

    displaymanager: str
    """Mediation partner, SDK or player that renders the ad, by name. Some ad servers fit their
    markup to it."""

    displaymanagerver: str
    """Version of what displaymanager names."""

    instl: Literal[0, 1]
    """True if the ad is interstitial or fills the screen. Flag: 0 or 1 in JSON. Default: 0."""

    tagid: str
    """Id of the placement or ad tag that started the auction, for reports and for tuning.
    Ext.gpid is the id that stays the same across exchanges."""

    bidfloor: float
    """Lowest bid accepted for the imp, in bidfloorcur. A floor in the deal of the bid goes
    before it, then one in Video or Audio. Unit: CPM. Default: 0."""

    bidfloorcur: str
    """Currency, as an ISO 4217 code, of the floors in this imp, those of its Video and Audio
    included. A deal has its own, Deal.bidfloorcur. Format: ISO-4217 alpha. Default: USD."""

    clickbrowser: Literal[0, 1]
    """Which browser a click in an app opens: true the device's own (Safari View Controller
    counts as such), false one embedded in the app. Flag: 0 or 1 in JSON."""

    secure: Literal[0, 1]
    """True if creative and markup must load over HTTPS. Absent means not known, and plain HTTP
    may then be assumed to work. Flag: 0 or 1 in JSON."""

    iframebuster: list[str]
    """Iframe busters supported, by the exchange's names."""

    rwdd: Literal[0, 1]
    """True if the user earns a reward for the ad, such as coins in a game, as a rule after it
    has played to its end. Flag: 0 or 1 in JSON. Default: 0."""

    ssai: int
    """Whether server-side ad insertion is at work, and whether the server or the client fetches
    media and fires trackers. Default: 0. Values: AdCOM list "SSAI Modes" (enum SsaiMode)."""

    exp: int
    """How long after the auction the ad may be shown, as a hint and not a promise. Absent means
    not known. Unit: s."""

    qty: Qty
    """How many impressions one play of the ad counts as, where many people see it, as in DOOH.
    Absent means that a play counts as one."""

    dt: float
    """When the ad is expected to be shown, as Unix time, for plays sold ahead as in DOOH. Unit:
    ms since epoch."""

    refresh: Refresh
    """How the slot refreshes itself with new ads. Absent means that nothing is said about
    refreshing."""

    ext: ImpExt | dict[str, Any]
    """Extensions: any members. ImpExt has those that IAB Tech Lab defines."""


class ImpExt(TypedDict, total=False):
    """Members of Imp.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    gpid: str
    """Global Placement Id: the publisher's own id of the slot, passed on unchanged by every
    exchange, such as 4711/news/home/top. It lets a buyer see one slot behind several tagid
    values."""

    skadn: SKAdNetworkRequest
    """What a buyer needs to sign an ad for Apple's SKAdNetwork. Present only where system and
    SDK support it and the app lists a network of the buyer."""

    intrinsic: Literal[0, 1]
    """True for intrinsic in-game inventory: the ad is part of the game's world, such as a
    billboard or a skin. Flag: 0 or 1 in JSON."""

    tid: str
    """Transaction id of this imp, shared by all parties that sell it. It goes before Source.tid,
    which stands in for imps without one."""

    igs: InterestGroupAuctionSupport
    """Which interest group auction (Protected Audience) this imp supports, and whether this
    buyer may take part."""


class InterestGroupAuctionSupport(TypedDict, total=False):
    """Support of an imp for an interest group auction in the browser, as in Chrome's Protected
    Audience.

    That it is supported does not promise that one runs: with no buyer in it, the OpenRTB winner is
    shown.
    """

    ae: int
    """Where the interest group auction can run: 0 nowhere, 1 led by the device, 3 led by a
    server. Default: 1."""

    biddable: Literal[0, 1]
    """True if the seller lets this buyer take part. Only then does a buyer's intent in
    BidResponse.ext.igi count. Flag: 0 or 1 in JSON. Default: 0."""


class Metric(TypedDict, total=False):
    """One measured figure about an imp, such as its recent viewability or click-through rate.

    OpenRTB 2.6 section 3.2.5.
    """

    type: str
    """What is measured, by the exchange's published name, such as viewability. Required."""

    value: float
    """The figure. A probability is given from 0.0 to 1.0. Required."""

    vendor: str
    """Who measured it, by the exchange's published name; EXCHANGE if the exchange did.
    Recommended."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Native(TypedDict, total=False):
    """Offers the imp as a native ad, whose assets the publisher lays out to match the content
    around it.

    What is asked for follows the OpenRTB Native specification and comes as JSON text or as a
    message. OpenRTB 2.6 section 3.2.9.
    """

    request: str
    """The native request as JSON text, the form of OpenRTB's JSON. From Native 1.1 on its root
    is the request itself; in Native 1.0 the root holds it in a member named native. Required."""

    ver: str
    """Version of the Native specification that the request follows, such as 1.2. Recommended."""

    api: list[int]
    """API frameworks the place supports. One that is not listed counts as not supported. Values:
    AdCOM list "API Frameworks" (enum ApiFramework)."""

    battr: list[int]
    """Creative attributes that are refused; compared with Bid.attr. Values: AdCOM list "Creative
    Attributes" (enum CreativeAttribute)."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Network(TypedDict, total=False):
    """The parent of channels: a company that owns or licenses them, or a studio that distributes
    its own content.

    Where one app streams its own content, network and channel may be the same. OpenRTB 2.6 section
    3.2.23.
    """

    id: str
    """The publisher's id of the network. It may mean something else at another seller."""

    name: str
    """Name of the network for people to read, such as BBC."""

    domain: str
    """Main domain of the network, best as registrable domain (public suffix and one label) so
    that buyers can target it."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Pmp(TypedDict, total=False):
    """The private marketplace of an imp: its deals, and whether others may bid too.

    OpenRTB 2.6 section 3.2.11.
    """

    private_auction: Literal[0, 1]
    """True if only bids under one of the deals are eligible, on its terms; false if bids without
    a deal compete as well. Flag: 0 or 1 in JSON. Default: 0."""

    deals: list[Deal]
    """The deals under which this imp can be bought."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Producer(TypedDict, total=False):
    """Who made the content, of use where it is syndicated and the publisher is another.

    OpenRTB 2.6 section 3.2.17.
    """

    id: str
    """Id of the producer, as the seller of the content knows it."""

    name: str
    """Name of the producer, such as Studio Ghibli."""

    cattax: int
    """Taxonomy of the ids in cat. Default: 1. Values: AdCOM list "Category Taxonomies" (enum
    CategoryTaxonomy)."""

    cat: list[str]
    """Content categories of the producer, as ids of the taxonomy named by cattax. Taxonomy:
    `cattax`."""

    domain: str
    """Top domain of the producer, such as producer.example."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Publisher(TypedDict, total=False):
    """The party that supplies the inventory to the exchange and is paid by it: a publisher, a
    network or another exchange.

    OpenRTB 2.6 section 3.2.15.
    """

    id: str
    """The exchange's id of the seller, equal to seller_id in the exchange's sellers.json. One id
    stands for one paid party only."""

    name: str
    """Name of the seller. It may ask for an alias here."""

    cattax: int
    """Taxonomy of the ids in cat. Default: 1. Values: AdCOM list "Category Taxonomies" (enum
    CategoryTaxonomy)."""

    cat: list[str]
    """Content categories of the publisher, as ids of the taxonomy named by cattax. Taxonomy:
    `cattax`."""

    domain: str
    """Top domain of the seller, such as seller.example."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Qty(TypedDict, total=False):
    """How many impressions one play of the ad counts as, where it is seen by more or fewer than
    one person, and who says so.

    OpenRTB 2.6 section 3.2.31.
    """

    multiplier: float
    """Impressions that one play counts as when billed, such as 7.5; it may be below 1. Prices
    stay CPM: a play costs price / 1000 x multiplier. Required."""

    sourcetype: int
    """Who measured the multiplier: a vendor, the publisher or the exchange. Recommended. Values:
    AdCOM list "DOOH Multiplier Measurement Source Types" (enum
    DoohMultiplierMeasurementSourceType)."""

    vendor: str
    """Domain of the measurement vendor. Required where sourcetype is 1."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class RefSettings(TypedDict, total=False):
    """What makes a slot refresh, and how long an ad stays at least.

    OpenRTB 2.6 section 3.2.34.
    """

    reftype: int
    """What triggers the refresh: the user, an event or time. Recommended. Default: 0. Values:
    AdCOM list "Auto Refresh Triggers" (enum AutoRefreshTrigger)."""

    minint: int
    """Shortest time an ad stays before the slot refreshes, whatever the trigger; it says nothing
    of viewability. Absent means that the time is not known. Recommended. Unit: s."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Refresh(TypedDict, total=False):
    """A slot that refreshes itself with new ads while the page stays.

    OpenRTB 2.6 section 3.2.33.
    """

    refsettings: list[RefSettings]
    """The triggers by which the slot refreshes. Recommended."""

    count: int
    """Refreshes of this slot since the page was loaded. Recommended."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Regs(TypedDict, total=False):
    """The laws and industry rules that the sender holds to bind this request.

    What the user agreed to under them is in User.consent and gpp. OpenRTB 2.6 section 3.2.3.
    """

    coppa: Literal[0, 1]
    """True if the US children's privacy law COPPA binds this request. Absent means not known.
    Flag: 0 or 1 in JSON."""

    gdpr: Literal[0, 1]
    """True if the EU's GDPR binds this request; the consent then stands in User.consent or in
    gpp. Absent means not known. Flag: 0 or 1 in JSON."""

    us_privacy: str
    """The US Privacy string, four characters such as 1YNN: version, notice given, opt-out of
    sale, Limited Service Provider Agreement."""

    gpp: str
    """The Global Privacy Platform string, which carries the user's choices under several laws."""

    gpp_sid: list[int]
    """Ids of the sections of gpp that apply here, mostly one, such as 2 for the EU's TCF v2. Its
    header sections need not be listed."""

    ext: RegsExt | dict[str, Any]
    """Extensions: any members. RegsExt has those that IAB Tech Lab defines."""


class RegsExt(TypedDict, total=False):
    """Members of Regs.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    gdpr: Literal[0, 1]
    """Whether the GDPR binds this request, in its place before OpenRTB 2.6. Use Regs.gdpr. Flag:
    0 or 1 in JSON. Deprecated."""

    us_privacy: str
    """The US Privacy string, in its place before OpenRTB 2.6. Use Regs.us_privacy. Deprecated."""

    gpc: str
    """Global Privacy Control: the value of the browser's Sec-GPC header, such as 1, passed on
    unchanged. It is never filled from a GPP string; absent means that the header was absent
    or not seen."""

    dsa: DsaRequest
    """What the EU's Digital Services Act asks of bids for this request."""

    s22580: Literal[0, 1]
    """True if the site or app is aimed at minors in the sense of California's SB 568 (Business
    and Professions Code 22580), which then bars ads for certain products. Flag: 0 or 1 in
    JSON."""


class SKAdNetworkList(TypedDict, total=False):
    """The SKAdNetwork ids that the app has in its Info.plist, told in short by IAB Tech Lab's
    shared, numbered list: all entries up to max, without excl, with addl.
    """

    max: int
    """Highest entry number of the shared list that is included, with all entries below it: 300
    means entries 1 to 300."""

    excl: list[int]
    """Entry numbers of the shared list, up to max, that the app does not have."""

    addl: list[str]
    """SKAdNetwork ids of the app that are not in the shared list, in lower case, such as
    abc123def4.skadnetwork. No more than 10 should be sent."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SKAdNetworkRequest(TypedDict, total=False):
    """What an iOS app tells of its support for SKAdNetwork, Apple's attribution of app installs,
    so that a buyer can sign its ad.

    The bid answers in Bid.ext.skadn.
    """

    version: str
    """The one SKAdNetwork version supported, such as 2.0. Use versions. Deprecated."""

    sourceapp: str
    """Apple's App Store id of the app that shows the ad, such as 1234567890; it should equal
    App.bundle."""

    skadnetids: list[str]
    """SKAdNetwork ids from the app's Info.plist that matter for this request, in lower case; no
    more than 10 should be sent. skadnetlist.addl is the preferred place for them."""

    skadnetlist: SKAdNetworkList
    """The app's SKAdNetwork ids by IAB Tech Lab's shared list."""

    versions: list[str]
    """SKAdNetwork versions that both system and SDK support, such as 2.0, 2.2, 3.0 and 4.0;
    always 2.0 or higher."""

    productpage: Literal[0, 1]
    """True if Apple's custom product pages are supported, so that the bid may name one. Flag: 0
    or 1 in JSON."""

    skoverlay: Literal[0, 1]
    """True if an ad can show Apple's SKOverlay. Flag: 0 or 1 in JSON."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Segment(TypedDict, total=False):
    """One item of data from a provider, as a key with a value.

    Which keys and values there are is published beforehand. OpenRTB 2.6 section 3.2.22.
    """

    id: str
    """The provider's id of the segment."""

    name: str
    """The provider's name of the segment."""

    value: str
    """Value of the segment, as text."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Site(TypedDict, total=False):
    """A website in which the ad is shown.

    An id or a page should be given. OpenRTB 2.6 section 3.2.13.
    """

    id: str
    """The exchange's id of the site. Recommended."""

    name: str
    """Name of the site. The publisher may ask for an alias here."""

    domain: str
    """Domain of the site, such as news.example.com."""

    cattax: int
    """Taxonomy of the ids in cat, sectioncat and pagecat. Default: 1. Values: AdCOM list
    "Category Taxonomies" (enum CategoryTaxonomy)."""

    cat: list[str]
    """Content categories of the site, as ids of the taxonomy named by cattax. Taxonomy:
    `cattax`."""

    sectioncat: list[str]
    """Content categories of the section of the site the user is in, as ids of the taxonomy named
    by cattax. Taxonomy: `cattax`."""

    pagecat: list[str]
    """Content categories of the page the user sees, as ids of the taxonomy named by cattax.
    Taxonomy: `cattax`."""

    page: str
    """Address of the page that shows the ad."""

    ref: str
    """Address of the page from which the user came to this page."""

    search: str
    """Words of the search by which the user came to this page."""

    mobile: Literal[0, 1]
    """True if the site lays itself out for mobile devices. Flag: 0 or 1 in JSON."""

    privacypolicy: Literal[0, 1]
    """True if a privacy policy exists for the site. Absent means not known. Flag: 0 or 1 in
    JSON."""

    publisher: Publisher
    """Who sells this site's inventory, and whom the exchange pays for it."""

    content: Content
    """What the user watches, hears or reads on the page while the ad is shown."""

    keywords: str
    """Words about the site, joined by commas. Not together with kwarray."""

    kwarray: list[str]
    """Words about the site, one an item. Not together with keywords."""

    inventorypartnerdomain: str
    """Domain of the owner of the content, who may sell part of the site's inventory. The site's
    ads.txt names it as inventorypartnerdomain, and the ads.txt at that domain says who is
    authorized."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Source(TypedDict, total=False):
    """Where the request came from before the exchange, and who decides after it: a header
    bidding wrapper, another exchange, a mediation layer or an ad server.

    OpenRTB 2.6 section 3.2.2.
    """

    fd: Literal[0, 1]
    """Who makes the final decision on the sale: true the source upstream, false this exchange.
    Recommended. Flag: 0 or 1 in JSON."""

    tid: str
    """Transaction id that all parties to this ad opportunity share, several exchanges included.
    Imp.ext.tid goes before it where an imp has one. Recommended."""

    pchain: str
    """Payment id chain, in the form of TAG's Payment ID Protocol 1.0. Recommended."""

    schain: SupplyChain
    """The sellers through whose hands the inventory passed. Recommended."""

    ext: SourceExt | dict[str, Any]
    """Extensions: any members. SourceExt has those that IAB Tech Lab defines."""


class SourceExt(TypedDict, total=False):
    """Members of Source.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    schain: SupplyChain
    """The supply chain, in its place for OpenRTB 2.5. Use Source.schain. Deprecated."""

    omidpn: str
    """Who integrated the Open Measurement SDK, equal to name of the OMID Partner object."""

    omidpv: str
    """Version of that integration, equal to versionString of the OMID Partner object."""


class SupplyChain(TypedDict, total=False):
    """All parties that sell or resell this inventory, in order.

    A reseller appends its own node and leaves complete as it was; one that does not add itself must
    not pass the chain on. OpenRTB 2.6 section 3.2.25.
    """

    complete: Literal[0, 1]
    """True if the chain goes all the way back to whoever owns the site, the app or the screen;
    false if it starts later. Required. Flag: 0 or 1 in JSON."""

    nodes: list[SupplyChainNode]
    """The parties, the owner's or the first known one first, the sender of this request last.
    Required."""

    ver: str
    """Version of the SupplyChain standard that the chain follows, as major.minor, such as 1.0.
    Required. Format: major.minor."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SupplyChainNode(TypedDict, total=False):
    """One party of the supply chain: a seller's account in an advertising system.

    OpenRTB 2.6 section 3.2.26.
    """

    asi: str
    """Domain of the advertising system (SSP, exchange, header wrapper) that bidders connect to,
    bare as in ads.txt: example.com, with no scheme and no path. Required."""

    sid: str
    """Id of the seller's account in that system, as in its sellers.json and in ads.txt; mostly
    Publisher.id. At most 64 characters should be used. Required."""

    rid: str
    """BidRequest.id of the request as this seller sent it."""

    name: str
    """Company that is paid under sid. Left out where the system's sellers.json tells it."""

    domain: str
    """Business domain of the company this node stands for, bare. Left out where the system's
    sellers.json tells it."""

    hp: Literal[0, 1]
    """True if the node takes part in the payment: asi pays sid, who pays the node before. Always
    true in version 1.0 and passed on as received. Flag: 0 or 1 in JSON."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class User(TypedDict, total=False):
    """The person at the device, as far as known: ids, home, interests and consent.

    Ids should last long enough to cap frequency, but privacy rules may change or remove them.
    OpenRTB 2.6 section 3.2.20.
    """

    id: str
    """The exchange's id of the user, as a rule from its own cookie."""

    buyeruid: str
    """The buyer's id of the user, found by the exchange in a match table that an id sync fills."""

    yob: int
    """Year of birth, four digits. No longer sent. Deprecated in 2.6."""

    gender: str
    """Gender as M, F or O for other. No longer sent. Deprecated in 2.6."""

    keywords: str
    """Words about the user, such as interests or intent, joined by commas. Not together with
    kwarray."""

    kwarray: list[str]
    """Words about the user, such as interests or intent, one an item. Not together with
    keywords."""

    customdata: str
    """Data of the bidder that the exchange kept in its cookie and hands back. Any content, in
    the characters of cookie-safe base85. Format: base85 cookie-safe."""

    geo: Geo
    """The user's home, not the present place, which is in Device.geo."""

    data: list[Data]
    """Further data about the user, one entry for each provider."""

    consent: str
    """The consent string of the Transparency and Consent Framework, given where Regs.gdpr is
    true."""

    eids: list[EID]
    """Ids of the user from parties other than the exchange, one entry for each source."""

    ext: UserExt | dict[str, Any]
    """Extensions: any members. UserExt has those that IAB Tech Lab defines."""


class UserExt(TypedDict, total=False):
    """Members of User.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    consent: str
    """The TCF consent string, in its place before OpenRTB 2.6. Use User.consent. Deprecated."""

    eids: list[EID]
    """Ids from other parties, in their place before OpenRTB 2.6. Use User.eids. Deprecated."""


class UserAgent(TypedDict, total=False):
    """The user agent in parts, as User-Agent Client Hints or the like JavaScript call tell it.

    It is held more exact than Device.ua where both are present. OpenRTB 2.6 section 3.2.29.
    """

    browsers: list[BrandVersion]
    """The browser and like parts with their versions, from Sec-CH-UA-Full-Version-List.
    Recommended."""

    platform: BrandVersion
    """The operating system and its version, from Sec-CH-UA-Platform and Sec-CH-UA-Platform-
    Version. Recommended."""

    mobile: Literal[0, 1]
    """True if the agent prefers content made for small screens or touch, false if it prefers the
    full form; from Sec-CH-UA-Mobile. Flag: 0 or 1 in JSON."""

    architecture: str
    """Processor architecture, such as x86 or arm; from Sec-CH-UA-Arch."""

    bitness: str
    """Word size of the processor as text, such as 64; from Sec-CH-UA-Bitness."""

    model: str
    """Model of the device; from Sec-CH-UA-Model."""

    source: int
    """Where these parts come from: client hints of low or high entropy, or a parsed User-Agent
    header. Default: 0. Values: AdCOM list "User-Agent Source" (enum UserAgentSource)."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Video(TypedDict, total=False):
    """Offers the imp as a video ad, answered as a rule with VAST.

    It can describe a single slot, or a dynamic pod whose time is filled with several ads. OpenRTB
    2.6 section 3.2.7.
    """

    mimes: list[str]
    """Media types the player can play, such as video/mp4. Required."""

    minduration: int
    """Shortest ad accepted. Not together with rqddurs. Recommended. Unit: s. Default: 0."""

    maxduration: int
    """Longest ad accepted; in a pod it limits each ad, not the break, which poddur limits. Not
    together with rqddurs. Recommended. Unit: s."""

    startdelay: int
    """When the ad starts in the content: above 0 is a mid-roll at that second, 0 a pre-roll, -1
    a mid-roll at no set time, -2 a post-roll at no set time. Recommended. Unit: s. Values:
    AdCOM list "Start Delay Modes" (enum StartDelayMode)."""

    maxseq: int
    """Most ads that may fill a dynamic pod; with poddur it bounds the pod. Absent means that
    only the time limits their number. Recommended."""

    poddur: int
    """Total time to fill in a dynamic pod, or in the dynamic part of a hybrid pod, and required
    there. It is the length of the break; minduration, maxduration and rqddurs bound each ad
    in it. Recommended. Unit: s."""

    protocols: list[int]
    """VAST versions that may be answered; the list tells wrappers from InLine ads, so both
    values are given where wrappers are allowed. Recommended. Values: AdCOM list "Creative
    Subtypes - Audio/Video" (enum CreativeSubtype)."""

    w: int
    """Width of the player in device-independent pixels. Recommended."""

    h: int
    """Height of the player in device-independent pixels. Recommended."""

    podid: str
    """Names the ad pod this imp belongs to. Imps of one request with the same podid are slots of
    one break; absent means no pod."""

    podseq: int
    """Which pod of the stream this is: the first, the last or any. Default: 0. Values: AdCOM
    list "Pod Sequence" (enum PodSequence)."""

    rqddurs: list[int]
    """The only durations accepted, each exact to the second, as live TV needs to avoid dead air.
    Not together with minduration or maxduration. Unit: s."""

    placement: int
    """Kind of video placement by the older list. plcmt replaces it. Values: AdCOM list
    "Placement Subtypes - Video" (enum VideoPlacementSubtype). Deprecated in 2.6-202303; use
    `plcmt`."""

    plcmt: int
    """Kind of video placement: in a stream, beside content, interstitial or standing alone,
    among others. It goes before placement. Values: AdCOM list "Plcmt Subtypes - Video" (enum
    VideoPlcmtSubtype)."""

    linearity: int
    """Whether the ad must be linear (plays in the stream) or non-linear (lies over it). It is
    about the VAST answer, not the kind of placement, which is plcmt; absent means that all
    are allowed. Values: AdCOM list "Linearity Modes" (enum LinearityMode)."""

    skip: Literal[0, 1]
    """True if the player lets the user skip the ad, false if only the ad itself can offer it,
    which the bid then tells by attribute 16 in Bid.attr. Absent means not known. Flag: 0 or 1
    in JSON."""

    skipmin: int
    """Only ads longer than this can be skipped; it matters only if skip is true. Unit: s.
    Default: 0."""

    skipafter: int
    """Playing time after which the user can skip; it matters only if skip is true. Unit: s.
    Default: 0."""

    sequence: int
    """Place of this imp among those of the request that are played together. slotinpod replaces
    it. Default: 0. Deprecated in 2.6; use `slotinpod`."""

    slotinpod: int
    """Place in the pod that the seller can guarantee to the winner: the first, the last, either
    of these or any. Default: 0. Values: AdCOM list "Slot Position in Pod" (enum
    SlotPositionInPod)."""

    mincpmpersec: float
    """Floor in CPM for each second of the ad, meant for the dynamic part of a pod: an ad of 30
    seconds at 0.5 needs a bid of 15. It is in Imp.bidfloorcur and goes before Imp.bidfloor.
    Not together with durfloors. Unit: CPM per second."""

    battr: list[int]
    """Creative attributes that are refused; compared with Bid.attr. Values: AdCOM list "Creative
    Attributes" (enum CreativeAttribute)."""

    maxextended: int
    """By how much an ad may outlast maxduration: 0 or absent not at all, -1 without limit, above
    0 by that many seconds. Unit: s."""

    minbitrate: int
    """Lowest bit rate of the media file. Unit: kbps."""

    maxbitrate: int
    """Highest bit rate of the media file. Unit: kbps."""

    boxingallowed: Literal[0, 1]
    """True if a 4:3 video may be letter-boxed in a 16:9 window. Where it is false in DOOH, the
    video must have exactly the aspect ratio of w and h. Flag: 0 or 1 in JSON. Default: 1."""

    playbackmethod: list[int]
    """How playback starts and whether with sound. Only the first value should be relied on;
    empty means that any method may be used. Values: AdCOM list "Playback Methods" (enum
    PlaybackMethod)."""

    playbackend: int
    """What ends the playback, such as completion or leaving the viewport. Values: AdCOM list
    "Playback Cessation Modes" (enum PlaybackCessationMode)."""

    delivery: list[int]
    """Ways in which the media file may be delivered. Empty means that all are supported. Values:
    AdCOM list "Delivery Methods" (enum DeliveryMethod)."""

    pos: int
    """Where on the screen the ad appears. Values: AdCOM list "Placement Positions" (enum
    PlacementPosition)."""

    companionad: list[Banner]
    """Places for companion banners around the player or after the video. Empty means that there
    are none."""

    api: list[int]
    """API frameworks the player supports, such as SIMID or OMID. One that is not listed counts
    as not supported. Values: AdCOM list "API Frameworks" (enum ApiFramework)."""

    companiontype: list[int]
    """Kinds of VAST companion resource supported in companionad. Values: AdCOM list "Companion
    Types" (enum CompanionType)."""

    poddedupe: list[int]
    """How the seller keeps duplicates out of a pod, such as by advertiser domain or by creative
    id. Provisional in OpenRTB 2.6. Values: AdCOM list "Pod Deduplication Settings" (enum
    PodDeduplication)."""

    durfloors: list[DurFloors]
    """Floors by duration of the ad, in the currency of Imp.bidfloorcur. Not together with
    mincpmpersec; a duration outside all ranges has Imp.bidfloor as its floor."""

    protocol: int
    """The one VAST version supported, from releases before protocols. Use protocols. Deprecated."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeRequest(TypedDict, total=False):
    """What a native placement accepts: its context, its assets and its ways of tracking.

    It travels as JSON text in Native.request; this message follows version 1.2.
    """

    ver: str
    """The version of the native format in use, such as 1.2. Native.ver in the imp repeats it."""

    layout: int
    """The layout of the placement by the old native 1.0 list, such as 3 for a news feed.
    Deprecated in 1.2: context and plcmttype tell it better."""

    adunit: int
    """The kind of ad unit by the old native 1.0 list, such as 2 for a recommendation widget.
    Deprecated in 1.2: context and plcmttype tell it better."""

    plcmtcnt: int
    """How many identical placements the imp holds, when several are sold in one auction. Use
    either this or seq. Default: 1."""

    seq: int
    """Which placement of a feed this auction sells, counted from 0, when each has an auction of
    its own. Use either this or plcmtcnt. Default: 0."""

    assets: list[NativeRequestAsset]
    """The parts that make up the ad, at least one. A bid must supply every one that is marked
    required and may leave out the others."""

    context: int
    """What surrounds the ad: 1 content, 2 social, 3 product. contextsubtype refines it."""

    contextsubtype: int
    """What surrounds the ad, more finely, such as 11 for an article. Its tens digit should agree
    with context. Values: AdCOM list "Display Context Types" (enum DisplayContextType)."""

    plcmttype: int
    """Where the ad stands in relation to the content around it, such as 1 for an item of a feed.
    Values: AdCOM list "Display Placement Types" (enum DisplayPlacementType)."""

    aurlsupport: Literal[0, 1]
    """Set when the answer may give assetsurl in place of its assets. Absent means that it may
    not. Flag: 0 or 1 in JSON."""

    durlsupport: Literal[0, 1]
    """Set when the answer may give dcourl in place of its assets. Absent means that it may not;
    the feature is in beta. Flag: 0 or 1 in JSON."""

    eventtrackers: list[NativeRequestEventTrackers]
    """The events that the placement can track, and by which methods. A bid may ask for these
    only."""

    privacy: Literal[0, 1]
    """Set when the placement can show the buyer's own privacy notice. Absent means no or
    unknown. Flag: 0 or 1 in JSON."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeRequestAsset(TypedDict, total=False):
    """One part that the placement can show: a title, an image, a video or a piece of data."""

    id: int
    """The number of the asset, unique in this request and usually its place in the list. The
    answer refers to it."""

    required: Literal[0, 1]
    """Set when a bid without this asset is refused. Flag: 0 or 1 in JSON. Default: 0."""

    title: NativeRequestTitle
    """The asset is a title."""

    img: NativeRequestImage
    """The asset is an image, such as an icon or the main picture."""

    video: Video
    """The asset is a video inside the native creative; in-stream video is sold through Imp.video
    instead. It states at least mimes, minduration, maxduration and protocols."""

    data: NativeRequestData
    """The asset is a short piece of text or a figure, such as a sponsor, a rating or a price."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeRequestData(TypedDict, total=False):
    """What is asked of a piece of data, such as a description, a rating or the text of a button."""

    type: int
    """What the data says, such as 1 for the sponsor or 6 for the price. Values: AdCOM list
    "Native Data Asset Types" (enum NativeDataAssetType)."""

    len: int
    """The longest text that fits, in characters. A longer one may be cut off on display; absent
    means that no limit is stated."""

    ext: NativeRequestDataExt | dict[str, Any]
    """Extensions: any members. NativeRequestDataExt has those that IAB Tech Lab defines."""


class NativeRequestDataExt(TypedDict, total=False):
    """Members of NativeRequestData.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    segtax: int
    """The segment taxonomy in use, by its number in the registry of IAB Tech Lab, such as 7 for
    Content Taxonomy 3.0."""


class NativeRequestEventTrackers(TypedDict, total=False):
    """One event that the placement can track, and by which methods."""

    event: int
    """The event. Mind the numbers: AdCOM counts 1 loaded, 2 impression and so on, while the text
    of Native 1.2 has no loaded and starts with 1 impression. Values: AdCOM list "Event Types"
    (enum EventType)."""

    methods: list[int]
    """The methods available for this event: 1 an image pixel, 2 a script. At least one. Values:
    AdCOM list "Event Tracking Methods" (enum EventTrackingMethod)."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeRequestImage(TypedDict, total=False):
    """What is asked of an image.

    A size is given exactly (w, h) or as a minimum (wmin, hmin) that the client scales.
    """

    type: int
    """What the image is for: 1 an icon, 3 the main picture. Values: AdCOM list "Native Image
    Asset Types" (enum NativeImageAssetType)."""

    w: int
    """The width that the image must have exactly, in pixels, if wmin is absent."""

    h: int
    """The height that the image must have exactly, in pixels, if hmin is absent."""

    wmin: int
    """How wide the image is at least, in pixels, when the client scales it down. Then w is not
    needed."""

    hmin: int
    """How high the image is at least, in pixels, when the client scales it down. Then h is not
    needed."""

    mimes: list[str]
    """The image formats that the placement shows, such as image/png. Empty means any."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeRequestTitle(TypedDict, total=False):
    """What is asked of a title."""

    len: int
    """The longest title that fits, in characters. 25, 90 and 140 are the usual values."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class BidResponse(TypedDict, total=False):
    """The answer of one bidder to one BidRequest: its bids grouped by seat, or the reason why it
    makes none.

    Without a seatbid it is a no-bid, and so is a message with no field set at all. OpenRTB 2.6
    section 4.2.1.
    """

    id: str
    """Repeats BidRequest.id, so that the exchange can match the answer to its auction. An answer
    with another id belongs to another request and is not usable. Required."""

    seatbid: list[SeatBid]
    """The bids, one entry for each seat that bids. Empty means no-bid; nbr may then say why."""

    bidid: str
    """The bidder's own name for this answer, for its logs. It comes back to the bidder through
    the macro AUCTION_BID_ID, which is empty when this field is absent."""

    cur: str
    """The one currency in which every price of this answer is expressed, such as EUR. It should
    be one that BidRequest.cur allows, where the request lists any. Format: ISO-4217 alpha.
    Default: USD."""

    customdata: str
    """Data that the bidder asks the exchange to keep in the exchange's cookie for this user.
    Later requests hand it back in User.customdata, if the exchange supports that. Format:
    base85 cookie-safe."""

    nbr: int
    """Why the bidder makes no bid, for example 8 when it does not know the user. Meaningful only
    when seatbid is empty; absent means that no reason is given. Values: AdCOM list "No-Bid
    Reason Codes" (enum NoBidReason)."""

    ext: dict[str, Any]
    """Extensions: any members. BidResponseExt has those that IAB Tech Lab defines."""


class Bid(TypedDict, total=False):
    """An offer to buy one imp at a price, with the ad to show and what the exchange needs to
    check it.

    OpenRTB 2.6 section 4.2.3.
    """

    id: str
    """The bidder's own id of this bid, for logs and tracking. The macro AUCTION_BID_ID does not
    carry it: that is BidResponse.bidid. Required."""

    impid: str
    """The Imp.id of the request that this bid wants to buy. A bid for an unknown imp is invalid.
    Required."""

    price: float
    """What the bidder offers for a thousand impressions, in BidResponse.cur, although only one
    impression is sold. The bid must reach the floor of its deal or else of its imp; compute
    with whole micros rather than with the floating value. Required. Unit: CPM."""

    nurl: str
    """Win notice: the exchange calls this URL when the bid wins its auction, which says nothing
    yet about delivery or billing. Without adm, the body of the reply is the ad markup. Macros
    are replaced in the URL and in that markup."""

    burl: str
    """Billing notice: the exchange calls this URL, best from its own servers, when the
    impression becomes billable under its own rules. Macros are replaced."""

    lurl: str
    """Loss notice: the exchange calls this URL when it knows that the bid has lost, with the
    reason in AUCTION_LOSS. The exchange may withhold the price, and AUCTION_PRICE is then
    empty."""

    adm: str
    """The ad markup as text: HTML for a banner, a VAST document for video and audio, JSON for
    native. It beats markup that the reply to nurl returns, and macros in it are replaced."""

    adid: str
    """The id of an ad that the exchange already holds and serves if the bid wins. It is the
    value of AUCTION_AD_ID."""

    adomain: list[str]
    """The domains of the advertiser, such as ford.com, checked against BidRequest.badv. There
    may be several when the creative rotates, though an exchange may insist on one."""

    bundle: str
    """The app that the ad promotes, as its store names it: a package name such as com.foo.mygame
    for Google Play, a number for the Apple App Store. Checked against BidRequest.bapp."""

    iurl: str
    """An image that shows what the campaign advertises, for ad quality checks. The URL must be
    stable: no cachebuster and no macros."""

    cid: str
    """The campaign to which the creative belongs, for ad quality checks. One iurl should be
    typical of all creatives that share this id."""

    crid: str
    """The creative, for ad quality checks. A pod that is deduplicated by creative (poddedupe 3)
    takes each crid once."""

    tactic: str
    """The buyer's label for the strategy behind this bid, for the exchange's reports. Its values
    and their meaning are agreed between the two."""

    cattax: int
    """The taxonomy that the codes of cat come from. Default: 1. Values: AdCOM list "Category
    Taxonomies" (enum CategoryTaxonomy)."""

    cat: list[str]
    """The categories of the creative, as codes of the taxonomy in cattax. Checked against
    BidRequest.bcat, or against acat where the request lists what it allows. Taxonomy:
    `cattax`."""

    attr: list[int]
    """Traits of the creative, such as 3 for one that expands by itself. Checked against battr of
    the imp; absent means that the bidder declares none. Values: AdCOM list "Creative
    Attributes" (enum CreativeAttribute)."""

    apis: list[int]
    """The API frameworks that the markup needs or uses. One that is not listed counts as not
    used, and each that is listed should be among those of the imp. Values: AdCOM list "API
    Frameworks" (enum ApiFramework)."""

    api: int
    """The single API framework of the markup, as releases before 2.6 stated it. Ignored where
    apis is present. Values: AdCOM list "API Frameworks" (enum ApiFramework). Deprecated in
    2.6; use `apis`."""

    protocol: int
    """The VAST or DAAST version of video or audio markup, and whether it is a Wrapper. It should
    be one of the protocols of the imp. Values: AdCOM list "Creative Subtypes - Audio/Video"
    (enum CreativeSubtype)."""

    qagmediarating: int
    """The audience for which the creative is fit, from all ages to mature audiences. Values:
    AdCOM list "Media Ratings" (enum MediaRating)."""

    language: str
    """The language of the creative, such as en, or xx when it contains no language, like a bare
    logo. Checked against BidRequest.wlang; langb states it more finely. Format: ISO-639-1
    alpha-2 or xx."""

    langb: str
    """The language of the creative with script or region where needed, such as zh-Hant or pt-BR.
    Checked against BidRequest.wlangb. Format: BCP 47."""

    dealid: str
    """The deal under which the bid is made, which brings that deal's floor and auction type.
    Absent means an open-market bid, which an imp with pmp.private_auction refuses."""

    w: int
    """How wide the creative is, in device-independent pixels. For a banner it must fit one of
    the sizes that the imp offers."""

    h: int
    """How high the creative is, in device-independent pixels. For a banner it must fit one of
    the sizes that the imp offers."""

    wratio: int
    """The horizontal part of the aspect ratio of a creative that scales, such as the 16 of 16:9.
    It goes with hratio and replaces w and h."""

    hratio: int
    """The vertical part of the aspect ratio of a creative that scales, such as the 9 of 16:9. It
    goes with wratio and replaces w and h."""

    exp: int
    """How long after the auction the bidder still accepts the impression. It is advice: the
    exchange may drop the bid when it cannot show the ad in that time. Absent means no stated
    limit. Unit: s."""

    dur: int
    """How long the video or audio creative plays. Pods need it: it counts against poddur, must
    be one of rqddurs where those are given, and picks the durfloors entry. Unit: s."""

    mtype: int
    """The kind of markup, which tells which of banner, video, audio and native of the imp the
    bid answers. Absent leaves the exchange to infer it, which is unsafe for an imp of several
    kinds. Values: AdCOM list "Bid Markup Types" (enum BidMarkupType)."""

    slotinpod: int
    """The slot of an ad pod that the bid accepts, for example 1 for the first only; such a bid
    is out if it cannot have that slot. Meant for dynamic pods: elsewhere impid already names
    the slot. Default: 0. Values: AdCOM list "Slot Position in Pod" (enum SlotPositionInPod)."""

    ext: dict[str, Any]
    """Extensions: any members. BidExt has those that IAB Tech Lab defines."""


class BidExt(TypedDict, total=False):
    """Members of Bid.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    skadn: SKAdNetworkResponse
    """What the app needs to register this ad with Apple's SKAdNetwork, for ads that promote an
    iOS app. Sent only when the imp carried ext.skadn."""

    dsa: DsaResponse
    """Who is behind the ad and how its audience was chosen, as the EU Digital Services Act asks.
    A bid without it is refused when regs.ext.dsa.dsarequired is 2 or 3."""

    scid: str
    """Shared Campaign Identifier: one key for the campaign across all DSPs and SSPs. It joins
    advertiser, brand, product and estimate with plus signs, as in
    GLN-3015619200106+Booking+MTEL+CPE1."""


class DsaResponse(TypedDict, total=False):
    """The buyer's transparency data for one ad under the EU Digital Services Act.

    It answers BidRequest.regs.ext.dsa.
    """

    behalf: str
    """The name of the party for whom the ad is shown, as readers shall see it. Free text of at
    most 100 characters."""

    paid: str
    """The name of the party that pays for the ad. Free text of at most 100 characters, given
    even when it repeats behalf."""

    transparency: list[Transparency]
    """The buy-side parties that used data about the user to choose this ad, each with the kinds
    of data it used."""

    adrender: Literal[0, 1]
    """Set when the creative itself shows the transparency notice; unset leaves that to the
    publisher. It decides when the request has pubrender 1, where the publisher can do it but
    need not. Flag: 0 or 1 in JSON."""


class BidResponseExt(TypedDict, total=False):
    """Members of BidResponse.ext that IAB Tech Lab defines.

    Others may stand beside them.
    """

    seatnonbid: list[SeatNonBid]
    """Seats that have no valid bid for an imp, each with its reason. It complements nbr, which
    can give only one reason for the whole answer."""

    igi: list[InterestGroupAuctionIntent]
    """What the sender has for Protected Audience auctions in the browser. It may stand in an
    answer without bids, and BidRequest.imp[].ext.igs says whether the seller supports such
    auctions."""


class InterestGroupAuctionBuyer(TypedDict, total=False):
    """One interest group owner that wants to take part in a Protected Audience auction, and what
    the seller is to pass on to its bidding function.

    Each value enters the auction configuration under the key origin.
    """

    origin: str
    """The web origin of the interest group owner, such as https://paapi.dsp.com. Always given."""

    maxbid: float
    """The most that the buyer will pay if it wins the auction in the browser, as CPM in cur. It
    guards against faulty or fraudulent bids; absent means no such limit."""

    cur: str
    """The ISO 4217 alpha code of the currency in which the interest groups bid and maxbid is
    stated. The seller enters it under perBuyerCurrencies. Default: USD."""

    pbs: Any
    """Any JSON value, handed unchanged to the buyer's generateBid function. The seller enters it
    under perBuyerSignals."""

    ps: dict[str, float]
    """Numbers by name from which the browser ranks and filters the interest groups of this
    buyer. The seller enters them under perBuyerPrioritySignals."""

    begid: int
    """The buyer's experiment group, from 0 to 65535. The seller enters it under
    perBuyerExperimentGroupIds, which it cannot do if the auction has already started."""


class InterestGroupAuctionIntent(TypedDict, total=False):
    """What one Protected Audience auction in the browser needs from the sender: buyers (igb)
    when a buyer answers a seller, or sellers (igs) when a seller answers a publisher.

    Exactly one of the two is present.
    """

    impid: str
    """The Imp.id of the ad slot concerned. Needed with igb; the entries of igs have their own."""

    igb: list[InterestGroupAuctionBuyer]
    """The interest group buyers that want to take part, from which the seller builds the
    configuration of its auction. Excludes igs."""

    igs: list[InterestGroupAuctionSeller]
    """The component sellers, each with the complete configuration of its auction. Excludes igb."""


class InterestGroupAuctionSeller(TypedDict, total=False):
    """A component seller's part in a Protected Audience auction, for the page's top-level seller
    to include.
    """

    impid: str
    """The Imp.id of the ad slot that the configuration belongs to. Always given."""

    config: Any
    """The auction configuration of the component seller, a JSON object as the browser expects
    it. Always given."""


class NonBid(TypedDict, total=False):
    """Why a seat has no valid bid for one imp: it did not bid, was not asked, failed, or was
    rejected.
    """

    impid: str
    """The Imp.id of the request that was not bid on. Always given."""

    statuscode: int
    """The reason: 0 to 99 no bid, 100 to 199 an error, 200 to 299 not asked, 300 to 399 a bid
    rejected by the exchange, from 500 on the exchange's own. Always given; 1 to 17 mean the
    same as in nbr."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SKAdNetworkFidelity(TypedDict, total=False):
    """The signed values of an SKAdNetwork ad for one kind of attribution."""

    fidelity: int
    """The kind of attribution signed for: 0 for ads that are only viewed, 1 for ads that
    StoreKit renders."""

    nonce: str
    """A UUID unique to this ad, in lower case, as the signature contains it."""

    timestamp: str
    """When these values were signed, as Unix time in milliseconds written as text. It may differ
    between the entries of one ad."""

    signature: str
    """The ad network's signature for this kind of attribution, encoded as Apple prescribes."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SKAdNetworkResponse(TypedDict, total=False):
    """The signed parameters of an ad for Apple's SKAdNetwork, which attributes app installs
    without identifying the user.

    The app hands them to StoreKit when the ad is shown or clicked.
    """

    version: str
    """The SKAdNetwork version that the signature follows, such as 4.0; never below 2.0. It
    should be one of imp.ext.skadn.versions."""

    network: str
    """The ad network's SKAdNetwork id, in lower case, such as cdkw7geqsh.skadnetwork. It should
    be one that the request lists, for the app's Info.plist must name it."""

    campaign: str
    """The campaign's number from 1 to 100, as text, for versions up to 3.0. From 4.0 on,
    sourceidentifier takes its place."""

    itunesitem: str
    """The App Store id of the advertised app, such as 123456789. It should equal Bid.bundle."""

    nonce: str
    """A UUID unique to this ad, in lower case, for versions below 2.2. Later versions give one
    in each entry of fidelities."""

    sourceapp: str
    """The App Store id of the publisher's app. It should equal imp.ext.skadn.sourceapp."""

    timestamp: str
    """When the ad was signed, as Unix time in milliseconds written as text, for versions below
    2.2. Later versions give it in each entry of fidelities."""

    signature: str
    """The ad network's signature over the other values, encoded as Apple prescribes, for
    versions below 2.2. Later versions give one in each entry of fidelities."""

    fidelities: list[SKAdNetworkFidelity]
    """The signed values for each kind of attribution, one entry per kind. Used from version 2.2
    on, in place of nonce, timestamp and signature here."""

    sourceidentifier: str
    """The campaign's four-digit number, as text, from version 4.0 on. The signature then covers
    it in place of campaign."""

    productpageid: str
    """The UUID of the custom product page to open in the App Store. Useful only where
    imp.ext.skadn.productpage is set; absent means the default page."""

    skoverlay: SKOverlay
    """How to present the advertised app in Apple's overlay during the ad. Useful only where
    imp.ext.skadn.skoverlay is set; absent means no overlay."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SKOverlay(TypedDict, total=False):
    """When and where to show Apple's SKOverlay, the App Store card of the advertised app, over
    the ad.
    """

    delay: int
    """Seconds from the start of the ad to the overlay; 0 shows it at once. Absent means no
    overlay during the ad."""

    endcarddelay: int
    """Seconds from the start of the end card to the overlay; 0 shows it at once. Absent means no
    overlay on the end card."""

    dismissible: Literal[0, 1]
    """Whether the user may close the overlay: 1 if so, 0 if not. Flag: 0 or 1 in JSON."""

    pos: int
    """Where the overlay sits: 0 at the bottom of the screen, 1 raised above the bottom."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SeatBid(TypedDict, total=False):
    """The bids that one seat makes in this answer.

    OpenRTB 2.6 section 4.2.2.
    """

    bid: list[Bid]
    """The bids of this seat. Several bids may compete for the same imp; at most one of them wins
    it, unless the imp is a pod. Required."""

    seat: str
    """The buyer on whose behalf the bids are made, such as an agency or an advertiser, under the
    id agreed with the exchange. BidRequest.wseat and bseat are checked against it, and it is
    the value of AUCTION_SEAT_ID."""

    group: Literal[0, 1]
    """Set when the seat wants all of its bids to win or none. Otherwise each bid stands alone.
    Flag: 0 or 1 in JSON. Default: 0."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class SeatNonBid(TypedDict, total=False):
    """The imps for which one seat has no valid bid, with the reasons.

    A seat that bids on some imps may stand here for others.
    """

    nonbid: list[NonBid]
    """One entry for each imp and reason, at least one. The same imp may occur more than once."""

    seat: str
    """The buyer whom the entries concern, under the same id as in SeatBid.seat."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponse(TypedDict, total=False):
    """A native ad: its assets, its link and its trackers.

    It travels as JSON text in Bid.adm, or as this message in Bid.adm_native; it follows version
    1.2.
    """

    ver: str
    """The version of the native format in use, such as 1.2. It should equal NativeRequest.ver."""

    assets: list[NativeResponseAsset]
    """The parts of the ad, each answering one asset of the request by its id. If assetsurl or
    dcourl supplies the assets, these are only the fallback and may be left out."""

    link: NativeResponseLink
    """Where a click leads, unless the clicked asset has a link of its own."""

    imptrackers: list[str]
    """URLs of image pixels to call at the impression. Outdated in 1.2: eventtrackers do the
    same."""

    jstracker: str
    """Script tags to run at the impression, where scripts are possible. Outdated in 1.2:
    eventtrackers do the same."""

    assetsurl: str
    """A URL that returns the assets as JSON. It beats assets and is allowed only where the
    request sets aurlsupport."""

    dcourl: str
    """A URL of a dynamic creative from which the assets are filled in, under rules that the
    parties agree. It beats assets and is allowed only where the request sets durlsupport."""

    eventtrackers: list[NativeResponseEventTracker]
    """The trackers to run, each for an event and by a method that the request offers."""

    privacy: str
    """The URL of a page that explains the buyer's targeting to the user. Used only where the
    request sets privacy."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseAsset(TypedDict, total=False):
    """One part of the ad, filled in: a title, an image, a video or a piece of data."""

    id: int
    """The id of the requested asset that this one answers. It may be absent only in the assets
    that assetsurl or dcourl returns."""

    required: Literal[0, 1]
    """Set when the buyer insists that the asset is shown. Flag: 0 or 1 in JSON. Default: 0."""

    title: NativeResponseTitle
    """The title."""

    img: NativeResponseImage
    """The image."""

    video: NativeResponseVideo
    """The video, as VAST."""

    data: NativeResponseData
    """The piece of data."""

    link: NativeResponseLink
    """Where a click on this asset leads. Absent means that NativeResponse.link applies."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseData(TypedDict, total=False):
    """A piece of data of the ad, ready for display."""

    label: str
    """The name of the data to display beside the value. Version 1.2 has no use for it.
    Deprecated."""

    value: str
    """The text to display, formatted for the reader, such as "4.5 stars" or "EUR 9.99"."""

    type: int
    """What the data says, such as 1 for the sponsor. Needed only in assets from assetsurl or
    dcourl, for elsewhere the id of the asset tells it. Values: AdCOM list "Native Data Asset
    Types" (enum NativeDataAssetType)."""

    len: int
    """The length of value in characters. Needed only in assets from assetsurl or dcourl."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseEventTracker(TypedDict, total=False):
    """One tracker that the buyer wants to run.

    Scripts usually belong to the impression: few work when they load at a later event.
    """

    event: int
    """The event at which the tracker runs, by the same numbers as in the request, which must
    offer it. Values: AdCOM list "Event Types" (enum EventType)."""

    method: int
    """How the tracker runs: 1 an image pixel, 2 a script. The request must offer it for this
    event. Values: AdCOM list "Event Tracking Methods" (enum EventTrackingMethod)."""

    url: str
    """The URL of the pixel or the script. Only a method of the exchange's own may do without."""

    customdata: str
    """Data for a method of the exchange's own, as agreed with it, such as an account number:
    JSON text like {"accountnumber":"123"}."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseImage(TypedDict, total=False):
    """An image of the ad.

    Assets from assetsurl or dcourl should offer the main picture in each usual aspect ratio.
    """

    url: str
    """Where the image is."""

    w: int
    """How wide the image is, in pixels. Good to have, and needed where assetsurl or dcourl
    offers several images of one type."""

    h: int
    """How high the image is, in pixels. Good to have, and needed where assetsurl or dcourl
    offers several images of one type."""

    type: int
    """What the image is for: 1 an icon, 3 the main picture. Needed only in assets from assetsurl
    or dcourl, for elsewhere the id of the asset tells it. Values: AdCOM list "Native Image
    Asset Types" (enum NativeImageAssetType)."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseLink(TypedDict, total=False):
    """Where a click leads, for the whole ad or for one asset."""

    url: str
    """The page or app to open on a click."""

    clicktrackers: list[str]
    """URLs to call when the click happens, beside opening url."""

    fallback: str
    """What to open when the device cannot open url, for example a web page for a deep link."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseTitle(TypedDict, total=False):
    """The title of the ad.

    Assets from assetsurl or dcourl should offer one for each usual length: 25, 90 and 140.
    """

    text: str
    """The words of the title. It should not be longer than the requested len."""

    len: int
    """The length of text in characters. Needed in assets from assetsurl or dcourl, so that the
    right title can be picked."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class NativeResponseVideo(TypedDict, total=False):
    """A video of the ad."""

    vasttag: str
    """The VAST document as XML text. Its version should be one of the requested protocols."""

    ext: dict[str, Any]
    """Extensions: any members; they travel unchanged."""


class Transparency(TypedDict, total=False):
    """One party that used parameters of the user to pick an ad, as the Digital Services Act
    wants it told.

    Used in requests for the selling side and in bids for the buying side.
    """

    domain: str
    """Domain of the party that used the parameters."""

    dsaparams: list[int]
    """What it used: 1 profiling, 2 basic advertising (context, device and rough place), 3
    precise geolocation."""
