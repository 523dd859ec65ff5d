"""The endpoints of the backend, wherever it stands."""

from __future__ import annotations

_PREFIXES = ("/backend-api/codex", "/backend-api", "/api/codex", "/v1")


def endpoint_path(path: str) -> str:
    """The path of an endpoint, without what stands before it at one backend or another."""
    for prefix in _PREFIXES:
        if path.startswith(f"{prefix}/"):
            return path[len(prefix) :]
    return path
