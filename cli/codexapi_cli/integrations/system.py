"""The folders where programs keep their settings, on this system or a described one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

LINUX, MACOS, WINDOWS = "linux", "darwin", "win32"


class Scope(StrEnum):
    """Whose settings: a user's, for all projects, or those of one project."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class System:
    """A platform, by Python's name for it, and its user's home and environment."""

    platform: str
    home: PurePath
    environ: Mapping[str, str]

    @classmethod
    def this(cls) -> System:
        platform = sys.platform if sys.platform in (MACOS, WINDOWS) else LINUX
        return cls(platform, Path.home(), os.environ)

    def path(self, template: str) -> PurePath:
        """A path from a template: "{config}/zed/settings.json". Its parts may be patterns."""
        return self._pure(template.format_map(self._folders()))

    def _folders(self) -> dict[str, str]:
        home, environ = self.home, self.environ
        folders = {
            "home": home,
            "config": environ.get("XDG_CONFIG_HOME") or home / ".config",
            "support": home / "Library" / "Application Support",
            "appdata": environ.get("APPDATA") or home / "AppData" / "Roaming",
            "localappdata": environ.get("LOCALAPPDATA") or home / "AppData" / "Local",
            "codex": environ.get("CODEX_HOME") or home / ".codex",
            "claude": environ.get("CLAUDE_CONFIG_DIR") or home,
            "claude_settings": environ.get("CLAUDE_CONFIG_DIR") or home / ".claude",
            "pi": environ.get("PI_CODING_AGENT_DIR") or home / ".pi" / "agent",
            "vibe": environ.get("VIBE_HOME") or home / ".vibe",
            "copilot": environ.get("COPILOT_HOME") or home / ".copilot",
        }
        return {name: str(folder) for name, folder in folders.items()}

    def _pure(self, path: str) -> PurePath:
        if isinstance(self.home, Path):
            return Path(path)
        return PureWindowsPath(path) if self.platform == WINDOWS else PurePosixPath(path)
