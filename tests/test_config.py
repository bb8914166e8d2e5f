"""Settings: sources, their order, and what a wrong one is told."""

import tomllib
from pathlib import Path

import pytest

from xsp_server import config
from xsp_server.auction import Rules
from xsp_server.auction.privacy import PrivacyPolicy
from xsp_server.errors import ConfigError
from xsp_server.simulator import distributions


def write(folder: Path, text: str) -> Path:
    file = folder / "xsp.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_every_setting_has_its_default():
    settings = config.load()
    assert settings.server.listen == "127.0.0.1:50051"
    assert settings.auction.default_timeout_ms == 300
    assert settings.bidders == ()


def test_the_file_overrides_defaults_and_the_environment_overrides_the_file(tmp_path, monkeypatch):
    file = write(tmp_path, '[server]\nlisten = "1.2.3.4:1"\ndrain_seconds = 3\n')
    monkeypatch.setenv("XSP_SERVER__LISTEN", "5.6.7.8:2")
    settings = config.load(file)
    assert settings.server.listen == "5.6.7.8:2"
    assert settings.server.drain_seconds == 3.0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nfoo = 1\n", "server.foo: no such setting"),
        ("[sever]\n", "sever: no such setting"),
        ('[log]\nlevel = "loud"\n', "log.level: got 'loud'; expected 'debug', 'info'"),
        ("[auction]\nmargin_ms = -5\n", "auction.margin_ms: got -5; expected greater than"),
        ('[server]\ndrain_seconds = "x"\n', "server.drain_seconds: got 'x'; expected a valid"),
        ('[server.tls]\ncert = "c.pem"\n', "expected both cert and key, or neither"),
        ('[server.tls]\nclient_ca = "c.pem"\n', "client_ca needs cert and key"),
        ("bidders = 5\n", "bidders: got 5; expected a valid tuple"),
    ],
)
def test_a_wrong_setting_says_which_what_was_given_and_what_would_be_right(tmp_path, text, line):
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert line in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "listen",
    [
        "127.0.0.1:0",
        "localhost:65535",
        "xsp.example.com:50051",
        "[::1]:50051",
        "[::]:0",
        "[fe80::1%eth0]:1",
        "unix:/run/xsp.sock",
        "unix:xsp.sock",
    ],
)
def test_a_server_listens_at_a_host_and_port_or_a_unix_socket(listen):
    assert config.ServerSettings(listen=listen).listen == listen


@pytest.mark.parametrize(
    "listen",
    [
        "localhost",
        "127.0.0.1:99999",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:٣",
        ":50051",
        "::1:50051",
        "[::1]",
        "http://127.0.0.1:1",
        "unix:",
        "",
    ],
)
def test_an_address_that_grpc_would_read_in_its_own_way_is_refused(tmp_path, listen):
    file = write(tmp_path, f'[server]\nlisten = "{listen}"\n')
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert (
        f"server.listen: got {listen!r}; expected host:port with port 0 to 65535, or unix:PATH"
    ) in str(caught.value)


def test_every_wrong_setting_has_a_line(tmp_path):
    file = write(tmp_path, '[server]\nfoo = 1\n[log]\nformat = "xml"\n[auction]\nmargin_ms = -1\n')
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert len(str(caught.value).splitlines()) == 4  # the source, then three settings


def test_a_wrong_environment_variable_is_told_without_a_file(monkeypatch):
    monkeypatch.setenv("XSP_AUCTION__MARGIN_MS", "soon")
    with pytest.raises(ConfigError, match=r"environment.*\n.*margin_ms: got 'soon'"):
        config.load()


def test_a_section_in_the_environment_must_be_json(monkeypatch):
    monkeypatch.setenv("XSP_BIDDERS", "acme")
    with pytest.raises(ConfigError, match="JSON"):
        config.load()


def test_a_file_that_is_not_toml_is_told_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"not TOML.*line 1"):
        config.load(write(tmp_path, "listen :: 5"))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.toml: No such file.*expected a readable TOML"):
        config.load(tmp_path / "gone.toml")


def test_the_template_lists_every_setting_and_is_toml_that_loads(tmp_path):
    text = config.template()
    for section in ("server", "log", "auction"):
        model = config.Settings.model_fields[section].annotation
        for name in model.model_fields:
            assert f"# {name} = " in text or f"[{section}.{name}]" in text
    assert config.load(write(tmp_path, text)) == config.load()


def test_the_defaults_in_the_template_are_the_real_ones(tmp_path):
    """Uncommenting each line that has a value changes nothing."""
    lines, begun = [], True
    for line in config.template().split("# Who is asked")[0].splitlines():
        if line.startswith(("[", "# [")):
            begun = line.startswith("[")  # what others begin with must be decided by a person
        bare = line.removeprefix("# ")
        key, separator, value = bare.partition(" = ")
        is_setting = begun and separator and key.isidentifier() and value and "…" not in value
        lines.append(bare if is_setting else line)
    uncommented = "\n".join(lines)
    assert "server" in tomllib.loads(uncommented)
    settings = config.load(write(tmp_path, uncommented))
    assert Rules.from_mapping(settings.rules) == Rules()
    assert PrivacyPolicy.from_mapping(settings.privacy) == PrivacyPolicy()
    assert settings.model_copy(update={"rules": {}, "privacy": {}}) == config.load()


def section(header: str) -> list[str]:
    """The lines of the template below a header, up to the next empty one."""
    lines = config.template().splitlines()
    begin = lines.index(header)
    return lines[begin : lines.index("", begin)]


def test_the_template_has_the_sections_that_others_read():
    for name in ("deadline_ms", "rates", "pod_search_limit"):
        assert any(line.startswith(f"# {name} = ") for line in section("[rules]"))
    for name in ("assume_gdpr", "ipv4_bits"):
        assert any(line.startswith(f"# {name} = ") for line in section("[privacy]"))
    assert "# asi = …  (required)" in section("# [schain]")
    assert "# create = true" in section("# [schain]")
    text = config.template()
    assert text.count("# members = …  (required)") == 1
    assert text.index("# [[groups]]") < text.index("# members = …")


def test_the_examples_of_privacy_rules_are_read(tmp_path):
    example = "\n".join(
        line.removeprefix("# ")
        for header in ("# [privacy.rules.coppa]", "# [privacy.rules.coppa.fields]")
        for line in section(header)
        if " = " in line or "[" in line
    )
    settings = config.load(write(tmp_path, example))
    assert PrivacyPolicy.from_mapping(settings.privacy) != PrivacyPolicy()


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("deal_policy", '"price" | "deals_first".'),
        ("durfloors_overlap", '"max" | "min".'),
        ("separation", 'list of "adomain" | "cat".'),
        ("second_price_increment", "decimal, as text."),
        ("rates", "table of tables of decimals, as text."),
        ("allow", "table of tables of lists of text."),
        ("allow_networks", "list of networks."),
        ("ports", "list of whole numbers."),
        ("media_types", 'list of "banner" | "video" | "audio" | "native".'),
        ("countries", "list of text."),
        ("headers", "table of text."),
        ("endpoint", "URL."),
        ("proxy", "URL."),
        ("price", "number or spread."),
        ("cert", "path."),
    ],
)
def test_the_template_names_types_as_people_do(setting, kind):
    text = " ".join(line.removeprefix("# ") for line in config.template().splitlines())
    assert f"Type: {kind} {setting} = " in text


def test_the_template_speaks_of_nothing_that_only_the_code_has():
    text = config.template()
    for word in ("<class", "pydantic", "None:", "None where", "find_rate", "Verdict", "xsp_server"):
        assert word not in text


def test_the_template_shows_how_a_spread_is_written():
    text = " ".join(line.removeprefix("# ") for line in config.template().splitlines())
    for line in distributions.FORMS.splitlines():
        form = line.partition("   ")[0]
        distributions.parse(form)
        assert form in text or form == "2.5"


BIDDER = '[[bidders]]\ntype = "simulated"\nname = "acme"\n'


@pytest.mark.parametrize("rule", ["bid_adjustments.acmee = 0.9", "allow.acmee.seats = ['s']"])
def test_a_rule_for_a_bidder_that_is_not_there_is_refused(tmp_path, rule):
    name = rule.partition(".")[0]
    with pytest.raises(ConfigError) as caught:
        config.load(write(tmp_path, f"[rules]\n{rule}\n{BIDDER}"))
    assert str(caught.value).endswith(
        f":\nrules.{name}.acmee: no such bidder; expected one of: acme"
    )
    with pytest.raises(ConfigError, match=r"expected \[\[bidders\]\], of which are none"):
        config.load(write(tmp_path, f"[rules]\n{rule}\n"))
    fitting = f"[rules]\n{rule.replace('acmee', 'acme')}\n{BIDDER}"
    assert name in config.load(write(tmp_path, fitting)).rules


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("XSP_SERVR__X", "no such setting; `xsp config` lists all"),
        ("XSP_SERVR__LISTEN", "no such setting; did you mean XSP_SERVER__LISTEN?"),
        ("XSP_LISTEN", "no such setting; did you mean XSP_SERVER__LISTEN?"),
        ("XSP_LOG_FORMAT", "no such setting; did you mean XSP_LOG__FORMAT?"),
        ("XSP_SERVER_TLS__CERT", "no such setting; did you mean XSP_SERVER__TLS__CERT?"),
        ("xsp_state_uri", "no such setting; did you mean XSP_STATE__URL?"),
        ("XSP_LOG__FORMATT", "log.formatt: no such setting"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_refused(monkeypatch, variable, told):
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    [
        "XSP_TEST_REDIS_URL",
        "XSP_VAST_SAMPLES",
        "XSP_AUCTION_VECTORS",
        "XSP_SERVICE_HOST",
        "XSP_SERVICE_PORT_GRPC",
        "XSP_PORT_50051_TCP_ADDR",
        "XSP_PORT",
        "OTHER__LISTEN",
    ],
)
def test_variables_of_tools_and_of_kubernetes_are_left_alone(monkeypatch, variable):
    monkeypatch.setenv(variable, "tcp://10.0.0.1:50051")
    assert config.load() == config.Settings()


def test_the_template_shows_a_section_for_each_type_of_bidder():
    text = config.template()
    for name in ("http", "grpc", "simulated"):
        assert f'# type = "{name}"' in text
    assert "# endpoint = …  (required)" in text
