"""Settings: sources, their order, and what a wrong one is told."""

import tomllib
from pathlib import Path

import pytest

from xsp_server import config
from xsp_server.auction import Rules
from xsp_server.errors import ConfigError


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
    lines = []
    for line in config.template().split("# Who is asked")[0].splitlines():
        bare = line.removeprefix("# ")
        key, separator, value = bare.partition(" = ")
        is_setting = separator and key.isidentifier() and value and "…" not in value
        lines.append(bare if is_setting else line)
    uncommented = "\n".join(lines)
    assert "server" in tomllib.loads(uncommented)
    settings = config.load(write(tmp_path, uncommented))
    assert Rules.from_mapping(settings.rules) == Rules()
    assert settings.model_copy(update={"rules": {}}) == config.load()


def test_the_template_shows_a_section_for_each_type_of_bidder():
    text = config.template()
    for name in ("http", "grpc", "simulated"):
        assert f'# type = "{name}"' in text
    assert "# endpoint = …  (required)" in text
