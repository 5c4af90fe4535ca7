"""The file of `unitcost central`, and an agent's section: one clear line for each mistake."""

import re
from pathlib import Path

import pytest

from unitcost.exporter import cli
from unitcost.exporter.config.central import load_central
from unitcost.exporter.config.error import ConfigError
from unitcost.exporter.config.load import load

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the files that configurations name."""
    for name in ("tokens", "database-url", "token"):
        (tmp_path / name).write_text("* 0123456789abcdef\n")
    (tmp_path / "web.yaml").write_text("")
    (tmp_path / "users.yaml").write_text(
        "basic_auth_users: {a: $2y$10$abcdefghijklmnopqrstuOabcdefghijklmnopqrstuvwxyzabcde}"
    )
    return tmp_path


def test_the_pages_example_is_read(folder: Path) -> None:
    """With paths relative to its folder."""
    (text,) = re.findall(r"```yaml\n(# central.yaml.*?)```", PAGE.read_text(), re.DOTALL)
    (folder / "central.yaml").write_text(text)
    settings = load_central(str(folder / "central.yaml"))
    assert settings.tokens_file == str(folder / "tokens")
    assert settings.web.config_file == str(folder / "web.yaml")
    assert settings.web.port == 9842


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tokens_file: missing"),
        ("tokens_file: tokens", "database_url_file: expected either this or path"),
        ("{tokens_file: tokens, path: a, database_url_file: database-url}", "and not both"),
        ("{tokens_file: none, path: a}", "tokens_file: .*cannot be read"),
        ("{tokens_file: '', path: a}", "tokens_file: must not be empty"),
        ("{tokens_file: tokens, database_url_file: none}", "database_url_file: .*cannot be read"),
        ("{tokens_file: tokens, path: tokens/a}", "path: .*not a folder"),
        ("{tokens_file: tokens, path: a, retention_days: 0}", "retention_days: must be between"),
        ("{tokens_file: tokens, path: a, more: 1}", "more: unknown key"),
        ("{tokens_file: tokens, path: a, web: {port: 0}}", "web.port: must be between"),
        ("{tokens_file: tokens, path: a, web: {config_file: none}}", "config_file: .*cannot"),
        ("{tokens_file: tokens, path: a, web: {config_file: users.yaml}}", "come with tokens"),
        ("[", "YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """And the exit code is 2."""
    path = folder / "central.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_central(str(path))
    assert cli.main(["central", "--config", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_is_not_there(folder: Path) -> None:
    """As any other mistake."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_central(str(folder / "none.yaml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{token_file: token}", "central.url: missing"),
        ("{url: 'https://a'}", "central.token_file: missing"),
        ("{url: 'http://a.example', token_file: token}", "central.url: must be https"),
        ("{url: 'https://a.example/v1', token_file: token}", "central.url: must have no path"),
        ("{url: 'ftp://a', token_file: token}", "central.url: the URL must begin"),
        ("{url: 'https://a', token_file: none}", "central.token_file: .*cannot be read"),
        ("{url: 'https://a', token_file: ''}", "central.token_file: must not be empty"),
        ("{url: 'https://a', token_file: token, ca_file: none}", "central.ca_file: .*cannot"),
        ("{url: 'https://a', token_file: token, interval_seconds: 0}", "must be between 1"),
    ],
)
def test_what_is_wrong_with_an_agents_section(folder: Path, text: str, said: str) -> None:
    """A token that would be given away, above all."""
    path = folder / "unitcost.yaml"
    path.write_text(f"central: {text}")
    with pytest.raises(ConfigError, match=said):
        load(path)


def test_an_agents_section_that_is_right(folder: Path) -> None:
    """Paths become absolute; this host itself may be asked without TLS."""
    path = folder / "unitcost.yaml"
    path.write_text("central: {url: 'http://127.0.0.1:9842', token_file: token}")
    central = load(path).settings.central
    assert central is not None
    assert central.token_file == str(folder / "token")
    assert central.interval_seconds == 300
