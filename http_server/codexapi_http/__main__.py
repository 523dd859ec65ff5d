"""`python -m codexapi_http`: runs the server with settings from the environment alone."""

from __future__ import annotations

import sys

from codexapi_engine import CodexError, Settings

from .server.serve import serve

if __name__ == "__main__":
    try:
        sys.exit(serve(Settings.from_env()))
    except CodexError as error:
        sys.exit(f"codexapi: {error}")
