"""Where files are: a folder, or a URI such as s3://BUCKET/PREFIX."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+", re.ASCII)
_STORAGE = re.compile(r"(s3|gs)://[^/?#\s]+/[^/?#\s][^?#\s]*", re.ASCII)

_PASSWORD = re.compile(r"(://[^/?#:@]*:).*(?=@)")
_PASSWORD_PARAMETER = re.compile(r"([?&](?:password|passwd|token)=)[^&#]*")


def is_uri(location: str) -> bool:
    """Whether `location` is written as a URI, and not as a path."""
    return _URI.match(location) is not None


def storage_uri(location: str) -> str:
    """`location` without slashes at its end.

    Raises:
        ValueError: it is no URI with a bucket and a prefix.
    """
    stripped = location.rstrip("/")
    if not _STORAGE.fullmatch(stripped):
        raise ValueError(f"{location} is no storage known here: write s3://BUCKET/PREFIX, or a folder")
    return stripped


def without_password(uri: str) -> str:
    """`uri` as it may be shown: with *** for a password in it, whether behind the user's name or as a parameter."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***", uri))


def without_passwords(value: Any) -> Any:
    """`value` with *** for the passwords in all texts in it, however deep in lists and mappings."""
    match value:
        case str():
            return without_password(value)
        case dict():
            return {key: without_passwords(one) for key, one in value.items()}
        case list() | tuple():
            return [without_passwords(one) for one in value]
    return value


def scratch_folder() -> Path:
    """Where this machine keeps working copies of what belongs to a URI: AFRL_SCRATCH, or afrl in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("AFRL_SCRATCH") or f"{cache}/afrl").expanduser().absolute()


def _folder_or_uri(value: Any) -> Any:
    if isinstance(value, str):
        return storage_uri(value) if is_uri(value) else Path(value)
    if not isinstance(value, Path):
        raise ValueError("write a folder, or s3://BUCKET/PREFIX")
    return value


Location = Annotated[Path | str, BeforeValidator(_folder_or_uri)]
"""A path, or a storage URI as text."""
