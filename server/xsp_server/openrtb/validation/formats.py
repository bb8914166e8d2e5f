"""Text formats that OpenRTB fields name, each a predicate on the text."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


CURRENCIES: Final = _codes(
    # ISO 4217, list one, all alphabetic codes as of 2026.
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
    CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP
    GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR
    KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
    MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
    USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD
    XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG
    """
    # Withdrawn since OpenRTB 2.6 came out; still met in records.
    "ANG BGN CUC HRK SLL ZWL"
)

COUNTRIES: Final = _codes(
    # ISO 3166-1, alpha-3.
    """
    ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR
    BHR BHS BIH BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG
    COK COL COM CPV CRI CUB CUW CXR CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH
    FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY
    HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM
    KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL
    MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR
    NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU
    SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA
    TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB
    VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
    """
    # User-assigned, but what everybody uses for Kosovo.
    "XKX"
)

LANGUAGES: Final = _codes(
    # ISO 639-1.
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
    ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li
    ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os
    pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta
    te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """
    # Withdrawn codes that platforms still send, as iw for Hebrew and in for Indonesian.
    "bh in iw ji mo"
)

_BCP_47 = re.compile(
    r"""
    (?: [a-z]{2,3} (?:-[a-z]{3}){0,3} | [a-z]{4,8} )    # language, with extended languages
    (?: -[a-z]{4} )?                                    # script
    (?: -(?: [a-z]{2} | [0-9]{3} ) )?                   # region
    (?: -(?: [a-z0-9]{5,8} | [0-9][a-z0-9]{3} ) )*      # variants
    (?: -[0-9a-wy-z] (?:-[a-z0-9]{2,8})+ )*             # extensions
    (?: -x (?:-[a-z0-9]{1,8})+ )?                       # private use
    | x (?:-[a-z0-9]{1,8})+
    | en-gb-oed | sgn-be-fr | sgn-be-nl | sgn-ch-de     # older than the syntax, kept by it
    | i-(?: ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu )
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_MCC_MNC = re.compile(r"[0-9]{3}-[0-9]{2,3}")
_MAJOR_MINOR = re.compile(r"[0-9]+\.[0-9]+")
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}")
_ISRC = re.compile(r"[A-Z]{2}-?[A-Z0-9]{3}-?[0-9]{2}-?[0-9]{5}", re.IGNORECASE | re.ASCII)
_SUBDIVISION = re.compile(r"(?:[A-Z]{2}-)?[A-Z0-9]{1,3}", re.IGNORECASE | re.ASCII)
_VISIBLE_ASCII = re.compile(r"[!-~]+")
_HTTP_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)


def is_currency(text: str) -> bool:
    """ISO 4217, three capitals: EUR."""
    return text in CURRENCIES


def is_country(text: str) -> bool:
    """ISO 3166-1 alpha-3, three capitals: DEU."""
    return text in COUNTRIES


def is_subdivision(text: str) -> bool:
    """The shape of ISO 3166-2, with or without the country: DE-BY or BY."""
    return _SUBDIVISION.fullmatch(text) is not None


def is_language(text: str) -> bool:
    """ISO 639-1, two letters in either case: de."""
    return text in LANGUAGES or text.lower() in LANGUAGES


def is_language_tag(text: str) -> bool:
    """A well-formed tag of BCP 47 (RFC 5646, section 2.1): zh-Hant-TW. No registry is asked."""
    return _BCP_47.fullmatch(text) is not None


def is_ipv4(text: str) -> bool:
    """Four decimal numbers up to 255, without leading zeros."""
    return _IPV4.fullmatch(text) is not None


def is_ipv6(text: str) -> bool:
    """RFC 4291, section 2.2; no zone."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return "%" not in text


def is_mcc_mnc(text: str) -> bool:
    """Country and network code with the dash between: 310-005."""
    return _MCC_MNC.fullmatch(text) is not None


def is_major_minor(text: str) -> bool:
    """Two numbers with a point between: 1.0."""
    return _MAJOR_MINOR.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Numbers with points between: 1.2, or 1."""
    return _VERSION.fullmatch(text) is not None


def is_isrc(text: str) -> bool:
    """ISO 3901, with or without hyphens: AA-6Q7-20-00047."""
    return _ISRC.fullmatch(text) is not None


def is_cookie_safe(text: str) -> bool:
    """Visible ASCII only: a superset of every base85 alphabet in use."""
    return _VISIBLE_ASCII.fullmatch(text) is not None


def is_http_url(text: str) -> bool:
    """An absolute http or https URL without spaces; macros may stand in it."""
    return _HTTP_URL.fullmatch(text) is not None
