"""The login of the Codex client: where it is, how it signs requests, and its renewal."""
