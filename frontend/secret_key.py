"""The key that signs session cookies."""

import os
import secrets
from pathlib import Path

from schemas.settings import Settings

_BYTES = 32
_LEAST_CHARACTERS = 16


def secret_key(settings: Settings) -> str:
    """Return the key of the settings, else the one of the data folder, made there once with mode 0600."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.data_dir / "secret-key"
    return _read(path) or _make(path)


def _read(path: Path) -> str | None:
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        return None
    return key if len(key) >= _LEAST_CHARACTERS else None


def _make(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(_BYTES))
    try:
        os.link(draft, path)  # two web processes at once: the first key wins
    except FileExistsError:
        if _read(path) is None:
            os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text().strip()
