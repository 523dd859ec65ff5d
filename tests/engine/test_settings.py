from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.setting_values import state_folder
from codexapi_engine.settings import BASE_URL, Settings, private_folder, user_agent


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.base_url == BASE_URL
    assert (settings.host, settings.port, settings.timeout) == ("127.0.0.1", 18080, 300.0)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("CODEXAPI_BASE_URL", " http://127.0.0.1:9/backend-api/codex/ ", "base_url",
         "http://127.0.0.1:9/backend-api/codex"),
        ("CODEXAPI_BASE_URL", "", "base_url", BASE_URL),
        ("CODEXAPI_MODEL", "gpt-6-astra", "model", "gpt-6-astra"),
        ("CODEXAPI_TIMEOUT", "2.5", "timeout", 2.5),
        ("CODEXAPI_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("CODEXAPI_PORT", "0", "port", 0),
        ("CODEXAPI_OLLAMA_PORT", "11434", "ollama_port", 11434),
        ("CODEXAPI_API_KEY", "a-key", "api_key", Secret("a-key")),
        ("CODEX_ACCESS_TOKEN", " at-token\n", "access_token", Secret("at-token")),
        ("CODEX_AUTHAPI_BASE_URL", "http://127.0.0.1:9/x", "accounts_url", "http://127.0.0.1:9/x"),
        ("CODEXAPI_CLIENT_VERSION", "0.170.0", "client_version", "0.170.0"),
        ("CODEX_HOME", "/somewhere", "codex_home", Path("/somewhere")),
        ("CODEX_HOME", "~no-such-user/codex", "codex_home", Path("~no-such-user/codex")),
        ("CODEXAPI_STATE_DIR", "/somewhere", "state_dir", Path("/somewhere")),
        ("CODEXAPI_STATE_DIR", "~/here", "state_dir", Path.home() / "here"),
        ("CODEXAPI_IMAGE_DIR", "~/here", "image_dir", Path.home() / "here"),
        ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://[::1]:9/oauth/token", "token_url",
         "http://[::1]:9/oauth/token"),
        ("HTTPS_PROXY", "http://proxy:3128", "proxy", "http://proxy:3128"),
        ("https_proxy", "http://proxy:3128", "proxy", "http://proxy:3128"),
        ("NO_PROXY", " .Example.com, other.org,", "no_proxy", ("example.com", "other.org")),
        ("SSL_CERT_FILE", "/ca.pem", "ca_file", Path("/ca.pem")),
        ("CODEX_CA_CERTIFICATE", "/ca.pem", "ca_file", Path("/ca.pem")),
    ],
)  # fmt: skip
def test_a_variable_sets_its_field(name: str, text: str, field: str, value: object) -> None:
    assert getattr(Settings.from_env({name: text}), field) == value


def test_codex_own_certificate_variable_wins_over_the_common_one() -> None:
    settings = Settings.from_env({"SSL_CERT_FILE": "/b.pem", "CODEX_CA_CERTIFICATE": "/a.pem"})
    assert settings.ca_file == Path("/a.pem")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CODEXAPI_BASE_URL", "http://example.com/backend-api/codex"),
        ("CODEXAPI_BASE_URL", "ftp://127.0.0.1/x"),
        ("CODEXAPI_BASE_URL", "127.0.0.1:9"),
        ("CODEXAPI_BASE_URL", "https://"),
        ("CODEXAPI_BASE_URL", "https://user:pass@example.com"),
        ("CODEXAPI_BASE_URL", "https://example.com/?a=b"),
        ("CODEXAPI_BASE_URL", "https://example.com:99999"),
        ("CODEXAPI_BASE_URL", "https://example.com/a b"),
        ("CODEXAPI_BASE_URL", "https://exa\tmple.com/"),
        ("CODEXAPI_BASE_URL", "https://[::1"),
        ("CODEXAPI_BASE_URL", "http://127.0.0.1.example.com"),
        ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://example.com/oauth/token"),
        ("CODEX_ACCESS_TOKEN", "at-\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("CODEX_AUTHAPI_BASE_URL", "http://example.com/api/accounts"),
        ("CODEXAPI_TIMEOUT", "0"),
        ("CODEXAPI_TIMEOUT", "-1"),
        ("CODEXAPI_TIMEOUT", "nan"),
        ("CODEXAPI_TIMEOUT", "inf"),
        ("CODEXAPI_TIMEOUT", "soon"),
        ("CODEXAPI_PORT", "65536"),
        ("CODEXAPI_PORT", "-1"),
        ("CODEXAPI_PORT", "http"),
        ("HTTPS_PROXY", "gopher://proxy"),
        ("HTTPS_PROXY", "http://"),
        ("HTTPS_PROXY", "http://proxy:port"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        Settings.from_env({name: text})


def test_a_bad_token_is_not_told() -> None:
    with pytest.raises(InvalidRequest) as told:
        Settings.from_env({"CODEX_ACCESS_TOKEN": "canary-\x07"})
    assert "canary" not in str(told.value)


def test_a_flag_is_checked_as_the_variable_is() -> None:
    with pytest.raises(InvalidRequest, match="--base-url"):
        replace(Settings(), base_url="http://example.com")


def test_secrets_stay_out_of_repr() -> None:
    settings = Settings(
        api_key=Secret("canary-key"),
        access_token=Secret("canary-token"),
        proxy="http://user:canary-password@proxy",
    )
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "no_proxy", "used"),
    [
        ("https://chatgpt.com/x", "", True),
        ("https://chatgpt.com/x", "chatgpt.com", False),
        ("https://sub.chatgpt.com/x", "chatgpt.com", False),
        ("https://sub.chatgpt.com/x", ".chatgpt.com", False),
        ("https://notchatgpt.com/x", "chatgpt.com", True),
        ("https://chatgpt.com/x", "*", False),
        ("https://CHATGPT.com/x", "ChatGPT.com", False),
        ("https://chatgpt.com/x", "other.org, *", False),
        ("https://chatgpt.com/x", "*.chatgpt.com", False),
        ("https://sub.chatgpt.com/x", "*.chatgpt.com", False),
        ("https://notchatgpt.com/x", "*.chatgpt.com", True),
        ("https://notchatgpt.com/x", "*chatgpt.com", True),
        ("https://chatgpt.com/x", "chatgpt.com.", False),
        ("https://chatgpt.com./x", "chatgpt.com", False),
        ("https://chatgpt.com/x", "other.org chatgpt.com", False),
        ("https://chatgpt.com/x", "chatgpt.com:443", False),
        ("https://chatgpt.com/x", "chatgpt.com:8443", True),
        ("https://chatgpt.com:8443/x", "chatgpt.com:8443", False),
        ("http://chatgpt.com/x", "chatgpt.com:80", False),
        ("https://sub.chatgpt.com:8443/x", ".chatgpt.com:8443", False),
        ("https://10.1.2.3/x", "10.1.2.3", False),
        ("https://10.1.2.3/x", "10.1.2.3:443", False),
        ("https://10.1.2.3/x", "10.1.2.3:80", True),
        ("https://10.1.2.3/x", "10.0.0.0/8", False),
        ("https://11.1.2.3/x", "10.0.0.0/8", True),
        ("https://10.1.2.3/x", "10.9.9.9/8", False),
        ("https://10.1.2.3/x", "2.3", True),
        ("https://10.1.2.3/x", "10.0.0.0/99", True),
        ("https://chatgpt.com/x", "10.0.0.0/8,", True),
        ("https://[2001:db8::1]/x", "[2001:db8::1]", False),
        ("https://[2001:db8::1]/x", "2001:DB8:0:0::1", False),
        ("https://[2001:db8::1]/x", "[2001:db8::1]:443", False),
        ("https://[2001:db8::1]/x", "[2001:db8::1]:80", True),
        ("https://[2001:db8::1]/x", "2001:db8::/32", False),
        ("https://[2001:db9::1]/x", "2001:db8::/32", True),
        ("https://[2001:db8::1]/x", "10.0.0.0/8", True),
        ("https://chatgpt.com/x", ". , ..,:443", True),
        ("http://127.0.0.1:1/x", "", False),
        ("http://127.8.8.8:1/x", "", False),
        ("http://localhost:1/x", "", False),
        ("http://[::1]:1/x", "", False),
        ("http://127.0.0.1.example.com/x", "", True),
    ],
)
def test_the_proxy_is_used_but_for_loopback_and_named_hosts(
    url: str, no_proxy: str, used: bool
) -> None:
    settings = Settings.from_env({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy})
    assert settings.proxy_for(url) == ("http://proxy:3128" if used else None)


def test_without_a_proxy_there_is_none() -> None:
    assert Settings.from_env({}).proxy_for("https://chatgpt.com") is None


def test_a_proxy_without_a_scheme_is_an_http_one() -> None:
    assert Settings.from_env({"HTTPS_PROXY": "proxy:3128"}).proxy == "http://proxy:3128"


@pytest.mark.parametrize(
    ("base_url", "usage_url"),
    [
        (BASE_URL, "https://chatgpt.com/backend-api/wham/usage"),
        ("http://127.0.0.1:9/backend-api/codex", "http://127.0.0.1:9/backend-api/wham/usage"),
        ("https://example.com/codex", "https://example.com/api/codex/usage"),
    ],
)
def test_the_usage_endpoint_stands_beside_the_backend(base_url: str, usage_url: str) -> None:
    assert Settings(base_url=base_url).usage_url == usage_url


@pytest.mark.parametrize(
    ("base_url", "foreign"),
    [
        (BASE_URL, False),
        ("https://api.openai.com/v1", False),
        ("http://localhost:9", False),
        ("https://example.com", True),
        ("https://chatgpt.com.example.com", True),
        ("https://notopenai.com", True),
    ],
)
def test_a_host_that_is_neither_openai_nor_this_machine_is_foreign(
    base_url: str, foreign: bool
) -> None:
    assert Settings(base_url=base_url).foreign is foreign


def test_the_user_agent_says_what_we_are() -> None:
    assert user_agent().startswith("codexapi/")
    assert user_agent().isascii()


@pytest.mark.parametrize(
    ("system", "environ", "folder"),
    [
        ("linux", {}, Path.home() / ".local" / "state" / "codexapi"),
        ("linux", {"XDG_STATE_HOME": "/state"}, Path("/state/codexapi")),
        ("linux", {"XDG_STATE_HOME": "state"}, Path.home() / ".local" / "state" / "codexapi"),
        ("darwin", {}, Path.home() / "Library" / "Application Support" / "codexapi"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/codexapi")),
        ("win32", {}, Path.home() / "AppData" / "Local" / "codexapi"),
        ("win32", {"CODEXAPI_STATE_DIR": "/mine"}, Path("/mine")),
    ],
)
def test_state_stands_where_the_platform_keeps_it(
    system: str, environ: dict[str, str], folder: Path
) -> None:
    assert state_folder(environ, system) == folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_private_folder_is_private_up_to_what_was_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made = private_folder(tmp_path / "state" / "codexapi" / "servers")
    for folder in (made, made.parent, made.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert private_folder(made) == made
