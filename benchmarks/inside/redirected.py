"""Runs a peer that has no setting for its backend, with another address in its place.

`python redirected.py PEER URL ARGUMENT…`, by the peer's own interpreter. Changes nothing else.
"""

import sys

name, url, *arguments = sys.argv[1:]
sys.argv = [name, *arguments]

if name == "chatmock":
    from chatmock import model_catalog, upstream
    from chatmock.cli import main

    model_catalog.CHATGPT_CODEX_BASE_URL = url
    upstream.CHATGPT_RESPONSES_URL = f"{url}/responses"
elif name == "codex-as-api":
    from codex_as_api import provider

    provider.ChatGPTOAuthProvider.__init__.__kwdefaults__["base_url"] = url
    provider.default_codex_version_resolver = lambda: "0.169.0"  # else a package index is asked
    from codex_as_api.server import main
else:
    raise SystemExit(f"no such peer: {name}")

main()
