"""Cookies of one session: who may set them, who gets them back, and for how long."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.errors import InvalidField
from xsp_server.upstream import cookies
from xsp_server.upstream.cookies import Cookie, CookieJar

SECOND = 1_000_000_000
NOW = 1_795_000_000 * SECOND
URL = "https://ads.example.com/vast/tag?x=1"


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def jar(clock):
    return CookieJar((), clock)


def set_by(jar, url, *headers):
    jar.store(url, headers)
    return [(c.name, c.value, c.host, c.domain, c.path, c.secure) for c in jar.cookies()]


@pytest.mark.parametrize(
    ("url", "gets"),
    [
        ("https://ads.example.com/", True),
        ("http://ads.example.com:8080/any?x=1#y", True),
        ("https://ADS.example.COM./", True),
        ("https://sub.ads.example.com/", False),
        ("https://example.com/", False),
        ("https://badads.example.com/", False),
        ("https://ads.example.com.evil.example/", False),
        ("https://evil.example/?ads.example.com", False),
        ("https://ads.example.com@evil.example/", False),
        ("/relative", False),
        ("https://[broken/", False),
        ("mailto:a@ads.example.com", False),
    ],
)
def test_a_cookie_goes_back_to_the_host_that_set_it_alone(jar, url, gets):
    jar.store(URL, ["a=1; Path=/"])
    assert jar.header(url) == ("a=1" if gets else "")


@pytest.mark.parametrize(
    ("url", "gets"),
    [
        ("https://ads.example.com/", True),
        ("https://example.com/", True),
        ("https://deep.below.example.com/", True),
        ("https://notexample.com/", False),
        ("https://com/", False),
    ],
)
def test_a_cookie_with_a_domain_goes_to_all_its_hosts(jar, url, gets):
    jar.store(URL, ["a=1; Path=/; Domain=.Example.COM"])
    assert jar.header(url) == ("a=1" if gets else "")


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        pytest.param("ads.example.com", "other.example", id="another one"),
        pytest.param("example.com", "ads.example.com", id="one below the host"),
        pytest.param("ads.example.com", "xample.com", id="one that only ends the same"),
        pytest.param("ads.example.com", "com", id="a top level"),
        pytest.param("ads.co.uk", "co.uk", id="a country's category"),
        pytest.param("a.github.io", "github.io", id="where strangers host"),
        pytest.param("a.b.s3.amazonaws.com", "b.s3.amazonaws.com", id="at any depth there"),
        pytest.param("127.0.0.1", "0.0.1", id="a part of an address"),
    ],
)
def test_a_host_may_not_choose_a_domain_that_isnt_its_own(jar, host, domain):
    assert set_by(jar, f"https://{host}/", f"a=1; Domain={domain}") == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[2001:db8::1]", "me.github.io"])
def test_a_host_that_names_itself_where_no_domain_can_be_gets_a_cookie_of_its_own(jar, host):
    bare = host.strip("[]")
    expected = [("a", "1", bare, None, "/", False)]
    assert set_by(jar, f"http://{host}/", f"a=1; Domain={bare}") == expected
    assert jar.header(f"http://{host}/") == "a=1"
    assert jar.header(f"http://x.{bare}/") == ""


def test_a_name_in_another_script_is_the_host_that_it_is_sent_as(jar):
    jar.store("https://exämple.com/", ["a=1"])
    assert jar.header("https://xn--exmple-cua.com/") == "a=1"
    jar.store(f"https://{'ä' * 70}.com/", ["a=1"])
    assert len(jar.cookies()) == 1


@pytest.mark.parametrize(
    ("header", "cookie"),
    [
        ("a=1", ("a", "1", "/vast")),
        (" a \t=\t 1 ; Path = /x ", ("a", "1", "/x")),
        ("a=", ("a", "", "/vast")),
        ('a="quoted, = kept"', ("a", '"quoted, = kept"', "/vast")),
        ("a=1; Path=x", ("a", "1", "/vast")),
        ("a=1; Path=", ("a", "1", "/vast")),
        ("a=1; Path=/x; path=/y", ("a", "1", "/y")),
        ("a=1; HttpOnly; SameSite=Strict; Partitioned; What=ever", ("a", "1", "/vast")),
        ("a=1; Domain=", ("a", "1", "/vast")),
        (f"a=1; Path=/{'x' * 1024}", ("a", "1", "/vast")),
        ("a=1;;;", ("a", "1", "/vast")),
    ],
)
def test_what_a_header_sets(jar, header, cookie):
    name, value, path = cookie
    assert set_by(jar, URL, header) == [(name, value, "ads.example.com", None, path, False)]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "novalue",
        "=1",
        " = 1",
        "a=1\r\nb=2",
        "a=\x00",
        "a=é",
        "é=1",
        f"a={'x' * 4096}",
        "a=1; Path=/é",
    ],
)
def test_what_cant_be_read_or_sent_back_is_passed_over(jar, header):
    assert set_by(jar, URL, header, "b=2") == [("b", "2", "ads.example.com", None, "/vast", False)]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example", "/"),
        ("https://a.example/", "/"),
        ("https://a.example/x", "/"),
        ("https://a.example/x/", "/x"),
        ("https://a.example/x/y/z", "/x/y"),
    ],
)
def test_without_a_path_it_is_the_folder_of_the_url(jar, url, path):
    assert set_by(jar, url, "a=1") == [("a", "1", "a.example", None, path, False)]


@pytest.mark.parametrize(
    ("path", "url", "gets"),
    [
        ("/", "/", True),
        ("/", "/x", True),
        ("/x", "/x", True),
        ("/x", "/x/y", True),
        ("/x", "/xy", False),
        ("/x/", "/x/y", True),
        ("/x/", "/x", False),
        ("/x", "/", False),
    ],
)
def test_it_is_sent_below_its_path(jar, path, url, gets):
    jar.store(URL, [f"a=1; Path={path}"])
    assert jar.header(f"https://ads.example.com{url}") == ("a=1" if gets else "")


def test_a_secure_cookie_goes_over_https_only_and_comes_over_it_only(jar):
    jar.store(URL, ["a=1; Secure; Path=/"])
    assert jar.header("https://ads.example.com/") == "a=1"
    assert jar.header("http://ads.example.com/") == ""
    jar.store("http://ads.example.com/", ["b=2; Secure", "a=stolen; Path=/"])
    assert [(c.name, c.value) for c in jar.cookies()] == [("a", "1")]


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("__Secure-a=1; Secure", True),
        ("__Secure-a=1", False),
        ("__Host-a=1; Secure; Path=/", True),
        ("__host-a=1; Secure; Path=/", True),
        ("__Host-a=1; Secure", False),
        ("__Host-a=1; Path=/", False),
        ("__Host-a=1; Secure; Path=/; Domain=example.com", False),
    ],
)
def test_a_name_that_promises_something_is_held_to_it(jar, header, taken):
    assert bool(set_by(jar, URL, header)) == taken


def test_longer_paths_come_first_and_then_the_older_ones(jar):
    jar.store(URL, ["a=1; Path=/", "b=2; Path=/vast", "c=3; Path=/", "a=4; Path=/"])
    assert jar.header(URL) == "b=2; a=4; c=3"  # set anew, a stays the older one


def test_the_same_name_of_another_path_or_domain_is_another_cookie(jar):
    jar.store(URL, ["a=1; Path=/", "a=2; Path=/vast", "a=3; Path=/; Domain=example.com"])
    assert jar.header(URL) == "a=2; a=1; a=3"


HOUR = "Wed, 18 Nov 2026 12:06:40 GMT"  # an hour after NOW


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("Max-Age=3600", 3600),
        (f"Expires={HOUR}", 3600),
        (f"Expires={HOUR}; Max-Age=60", 60),
        (f"Max-Age=soon; Expires={HOUR}", 3600),
        ("Expires=Wednesday, 18-Nov-26 12:06:40 GMT", 3600),
        ("Expires=Wed Nov 18 12:06:40 2026", 3600),
        ("Expires=18 november 2026 12:06:40.5 garbage 99 99:99:99", 3600),
        (f"Max-Age={10**30}", 400 * 86400),
        ("Max-Age=99999999", 400 * 86400),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", 400 * 86400),
    ],
)
def test_it_ends_when_it_says_but_within_400_days(jar, clock, attributes, seconds):
    jar.store(URL, [f"a=1; {attributes}"])
    clock.now = NOW + seconds * SECOND - 1
    assert jar.header(URL) == "a=1"
    clock.now += 1
    assert jar.header(URL) == ""
    assert jar.cookies() == ()


@pytest.mark.parametrize(
    "attributes",
    ["", "Max-Age=", "Max-Age=soon", "Expires=never", "Expires=Wed, 18 Nov 2026",
     "Expires=Wed, 99 Nov 2026 12:06:40 GMT", "Expires=Wed, 18 Nov 2026 24:06:40 GMT",
     "Expires=Wed, 18 Nov 1600 12:06:40 GMT", "Expires=Wed, 18 2026 12:06:40 GMT",
     "Expires=18 Nov 12:06:40", "Expires=Nov 2026 12:06:40"],
)  # fmt: skip
def test_without_an_end_that_can_be_read_it_ends_with_the_session(jar, clock, attributes):
    jar.store(URL, [f"a=1; {attributes}"])
    clock.now += 500 * 86400 * SECOND
    assert jar.header(URL) == "a=1"


@pytest.mark.parametrize(
    "attributes",
    ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
     "Expires=Thu, 01 Jan 70 00:00:00 GMT", "Expires=Sun, 06 Nov 1994 08:49:37 GMT",
     "Expires=Thu, 01 Jan 1601 00:00:00 GMT"],
)  # fmt: skip
def test_an_end_in_the_past_removes_it(jar, attributes):
    jar.store(URL, ["a=1", "b=2", f"a=; {attributes}"])
    assert jar.header(URL) == "b=2"


def test_one_host_has_a_bounded_number_the_oldest_going_first(jar):
    jar.store("https://other.example/", ["mine=1"])
    jar.store(URL, [f"c{n}=1" for n in range(30)])
    names = [cookie.name for cookie in jar.cookies()]
    assert names == ["mine", *(f"c{n}" for n in range(5, 30))]


def test_a_session_has_a_bounded_number(jar):
    for host in range(6):
        jar.store(f"https://h{host}.example/", [f"c{n}=1" for n in range(20)])
    hosts = [cookie.host for cookie in jar.cookies()]
    assert len(hosts) == 100
    assert "h0.example" not in hosts


def test_a_session_has_a_bounded_size_and_so_has_a_header(jar):
    for host in range(3):
        jar.store(f"https://h{host}.example.com/", [
            f"c{n}={'x' * 2000}; Domain=example.com; Path=/{host}" for n in range(20)
        ])  # fmt: skip
    assert sum(cookie.size for cookie in jar.cookies()) <= cookies.MAX_BYTES
    header = jar.header("https://www.example.com/2/x")
    assert 4 * 2000 < len(header) <= cookies.MAX_HEADER_BYTES


def test_those_that_have_ended_make_room_first(jar, clock):
    jar.store("https://old.example/", ["forever=1"])
    jar.store("https://short.example/", [f"c{n}=1; Max-Age=1" for n in range(25)])
    clock.now += SECOND
    for host in range(4):
        jar.store(f"https://h{host}.example/", [f"c{n}=1" for n in range(20)])
    assert jar.cookies()[0].name == "forever"
    assert len(jar.cookies()) == 81


MESSAGE = pb.Cookie(
    name="id",
    value="x y=z",
    host="ads.example.com",
    domain="example.com",
    path="/vast",
    secure=True,
    expiry=Timestamp(seconds=1_800_000_000, nanos=5),
)


def test_a_message_comes_back_as_it_went_in():
    assert Cookie.from_message(MESSAGE).to_message() == MESSAGE
    small = pb.Cookie(name="a", host="127.0.0.1")
    assert Cookie.from_message(small).to_message() == small


def test_a_message_with_defaults_told_means_the_same_without():
    told = pb.Cookie(name="a", host="a.example", path="/", secure=False)
    assert Cookie.from_message(told).to_message() == pb.Cookie(name="a", host="a.example")


@pytest.mark.parametrize(
    ("changes", "violation"),
    [
        ({"name": ""}, "name: expected at least one character, printable ASCII without"),
        ({"name": "a=b"}, "name: expected at least one character"),
        ({"name": "a;b"}, "name: expected at least one character"),
        ({"value": "a;b"}, 'value: expected printable ASCII without ";"'),
        ({"value": "a\r\nX: y"}, 'value: expected printable ASCII without ";"'),
        ({"value": " a"}, 'value: expected printable ASCII without ";"'),
        ({"value": "x" * 4095}, "value: expected at most 4096 bytes together with the name"),
        ({"host": ""}, "host: expected a host in lower case, without a port"),
        ({"host": "ads.example.com:443"}, "host: expected a host"),
        ({"host": "Ads.example.com"}, "host: expected a host"),
        ({"domain": ".example.com"}, "domain: expected a domain in lower case that ads.ex"),
        ({"domain": "other.example"}, "domain: expected a domain in lower case"),
        ({"domain": ""}, "domain: expected a domain in lower case"),
        ({"domain": "com"}, "domain: expected no public suffix; leave it out"),
        ({"path": "vast"}, 'path: expected "/" and printable ASCII'),
        ({"path": "/;"}, 'path: expected "/" and printable ASCII'),
        ({"path": "/" + "x" * 1024}, 'path: expected "/" and printable ASCII'),
        ({"expiry": Timestamp(seconds=10**15)}, "expiry: expected a time from year 1 to 9999"),
    ],
)  # fmt: skip
def test_a_message_that_breaks_a_rule_is_refused_with_its_place(changes, violation):
    message = pb.Cookie()
    message.CopyFrom(MESSAGE)
    for name, value in changes.items():
        if isinstance(value, Timestamp):
            message.expiry.CopyFrom(value)
        else:
            setattr(message, name, value)
    with pytest.raises(InvalidField) as caught:
        cookies.read([pb.Cookie(name="ok", host="a.example"), message], "session.cookies")
    assert str(caught.value).startswith(f"session.cookies[1].{violation}")
    assert "x y=z" not in str(caught.value)


def test_messages_that_are_too_large_together_are_refused():
    large = [pb.Cookie(name=f"c{n}", value="x" * 4000, host="a.example") for n in range(17)]
    with pytest.raises(InvalidField, match=r"^cookies: expected at most 65536 bytes together"):
        cookies.read(large)


def test_cookies_that_came_with_the_session_have_ended_when_they_say(clock):
    cookie = Cookie(name="a", value="1", host="a.example", expiry_ns=NOW + 1)
    jar = CookieJar([cookie], clock)
    assert jar.header("https://a.example/") == "a=1"
    clock.now += 1
    assert jar.header("https://a.example/") == ""


def test_two_jars_never_meet(clock):
    one, two = CookieJar((), clock), CookieJar((), clock)
    one.store(URL, ["a=1"])
    assert two.header(URL) == ""
    assert two.cookies() == ()


def test_a_call_to_nowhere_sets_nothing(jar):
    assert set_by(jar, "/relative", "a=1") == []


PIECES = st.sampled_from([
    "a", "=", ";", " ", "Domain", "Path", "Expires", "Max-Age", "Secure", "__Host-", "/", ".", ":",
    "example.com", "ads.", "com", HOUR, "0", "99", "-", "\r\n", "é", "\ud800", "\x00", "[",
])  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=6).map("".join))
def test_whatever_a_host_sends_what_is_kept_can_be_sent_and_told(header, rest):
    jar = CookieJar((), lambda: NOW)
    for url in (URL, f"http://{rest}", f"https://ads.example.com/{rest}"):
        jar.store(url, [header, f"a={header}", f"a=1;{header}"])
        assert len(jar.header(url).splitlines()) <= 1
    messages = [cookie.to_message() for cookie in jar.cookies()]
    assert cookies.read(messages) == jar.cookies()


def names(jar):
    return {f"{cookie.name}={cookie.value}" for cookie in jar.cookies()}


def test_a_branch_begins_with_the_cookies_and_goes_on_by_itself(jar):
    jar.store(URL, ["a=1", "b=1"])
    branch = jar.branch()
    branch.store(URL, ["a=2", "c=2", "b=; Max-Age=0"])
    assert names(branch) == {"a=2", "c=2"}
    assert names(jar) == {"a=1", "b=1"}


def test_a_branch_that_joins_again_brings_its_changes_and_nothing_else(jar):
    jar.store(URL, ["a=1", "b=1", "c=1"])
    first, second = jar.branch(), jar.branch()
    first.store(URL, ["a=2", "b=; Max-Age=0"])
    second.store(URL, ["d=3"])
    jar.join(first)
    jar.join(second)
    assert names(jar) == {"a=2", "c=1", "d=3"}


def test_a_branch_over_http_puts_nothing_in_the_place_of_what_came_over_https_meanwhile(jar):
    path = "; Path=/"
    listened_in, safe = jar.branch(), jar.branch()
    listened_in.store("http://ads.example.com/", [f"a=evil{path}"])
    safe.store("https://ads.example.com/", [f"a=1; Secure{path}"])
    jar.join(safe)
    jar.join(listened_in)
    assert names(jar) == {"a=1"}


def test_a_branch_takes_away_nothing_that_was_set_meanwhile(jar):
    path = "; Path=/"
    jar.store("http://ads.example.com/", [f"a=1{path}", f"b=1{path}"])
    listened_in, safe = jar.branch(), jar.branch()
    listened_in.store("http://ads.example.com/", [f"{name}=; Max-Age=0{path}" for name in "ab"])
    safe.store("https://ads.example.com/", [f"a=2; Secure{path}"])
    jar.join(safe)
    jar.join(listened_in)
    assert names(jar) == {"a=2"}


def test_a_jar_stays_within_its_bounds_whatever_joins(jar):
    branches = [jar.branch() for _ in range(3)]
    for place, branch in enumerate(branches):
        branch.store(URL, [f"n{place}x{n}=1" for n in range(20)])
    for branch in branches:
        jar.join(branch)
    assert len(jar.cookies()) == cookies.MAX_PER_HOST
