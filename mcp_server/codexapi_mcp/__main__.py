"""`python -m codexapi_mcp`: serves stdin and stdout, with settings from the environment."""

from __future__ import annotations

import sys

from codexapi_engine.errors import CodexError
from codexapi_engine.settings import Settings

from .stdio import serve

USAGE = 2
"""The exit code where a setting is wrong."""


def main() -> int:
    try:
        settings = Settings.from_env()
    except CodexError as error:
        print(f"codexapi: {error}", file=sys.stderr)
        return USAGE
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
