"""The login of the Codex client: where it is stored, how it signs requests, how it is refreshed."""
