"""Weights of a repository of huggingface.co: `hf://OWNER/NAME/FILE`. Only this file needs huggingface_hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download

from archdsl.errors import SpecError


def fetched(place: str) -> Path:
    """The file, in the cache of huggingface_hub. Raises SpecError where it cannot be had."""
    owner, _, rest = place.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    if not (owner and name and file):
        raise SpecError("not a file of a repository", got=place, want="hf://OWNER/NAME/FILE")
    try:
        return Path(hf_hub_download(repo_id=f"{owner}/{name}", filename=file))
    except (OSError, RuntimeError, ValueError) as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SpecError(f"cannot fetch {place}", got=said[:160], want="a file of a public repository") from None
