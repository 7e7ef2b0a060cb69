"""Where a source is: on disk, in the catalog, or on the Hugging Face hub (with its cache and offline
mode). How the files of an SAE are called is said by the formats (:class:`saelab.formats.format.Layout`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from saelab.errors import SaelabError, nearest
from saelab.formats import catalog
from saelab.formats.readers import FORMATS

LAYOUTS = [form.LAYOUT for form in FORMATS]
WEIGHTS = {name for layout in LAYOUTS for name in layout.weights}
SCAN = 20_000
OFFLINE = {
    "ConnectionError", "ConnectError", "Timeout", "TimeoutException", "OfflineModeIsEnabled", "TransportError",
    "ProxyError",
}  # fmt: skip


class Place(NamedTuple):
    """Where the files of an SAE are, the name they are known by, and what the catalog knows about them."""

    path: Path
    hint: str
    listed: dict[str, Any]
    form: str | None = None
    fetched: bool = True


def locate(source: str, sae_id: str | None) -> Place:
    """Find the SAE, and fetch it if it is on the hub."""
    path = Path(source).expanduser()
    if path.exists():
        hint = source if sae_id is None else f"{source}/{sae_id}"
        return Place(_inside(path, sae_id), hint, {}, fetched=False)
    entry = catalog.find(source, sae_id)
    if entry is not None:
        repo, inner = entry["repo"], entry["path"]
        return Place(_fetch(repo, inner), f"{repo}/{inner}", catalog.facts(entry), entry["format"])
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not source.startswith("."):
        chosen = _choose(source, ids_of(_files(source)), sae_id)
        listed = catalog.facts(catalog.at(source, chosen))
        return Place(_fetch(source, chosen), f"{source}/{chosen}".rstrip("/."), listed)
    close = catalog.suggest(source)
    hint = f" Did you mean {' or '.join(map(repr, close))} of the catalog?" if close else ""
    raise SaelabError(f"no folder or file {source!r}, and it is no org/repo name of the hub.{hint}")


def _inside(path: Path, sae_id: str | None) -> Path:
    if sae_id is None:
        return path
    if Path(sae_id).is_absolute() or ".." in Path(sae_id).parts:
        raise SaelabError(f"sae_id {sae_id!r} leads out of {path}")
    if not (path / sae_id).exists():
        raise _no_id(str(path), sae_id, ids_in(path))
    return path / sae_id


def ids_in(folder: Path) -> list[str]:
    """The SAEs in a local folder, by the path to each."""
    files = []
    for root, _, names in os.walk(folder):
        files += [(Path(root) / name).relative_to(folder).as_posix() for name in names]
        if len(files) > SCAN:
            break
    return ids_of(files)


def ids_of(files: Iterable[str]) -> list[str]:
    """The SAEs among ``files``: folders with weights of a known name ("." for the top), and single files."""
    ids: dict[str, None] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            continue
        for weights in WEIGHTS:
            if f"/{name}".endswith(f"/{weights}"):
                ids[name.removesuffix(weights).rstrip("/") or "."] = None
        if path.name not in WEIGHTS and any(re.fullmatch(layout.single, path.name) for layout in LAYOUTS):
            ids[name] = None
    return list(ids)


def _choose(repo: str, ids: list[str], sae_id: str | None) -> str:
    """The one SAE that is meant, or an error that lists what there is."""
    if sae_id is not None:
        if sae_id.strip("/") in ids:
            return sae_id.strip("/")
        raise _no_id(repo, sae_id, ids)
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise SaelabError(f"{repo} holds no SAE of a known form")
    some = ", ".join(map(repr, ids[:6])) + (" …" if len(ids) > 6 else "")
    raise SaelabError(f"{repo} holds {len(ids)} SAEs; say which: sae_id={some}")


def _no_id(repo: str, sae_id: str, ids: list[str]) -> SaelabError:
    close = nearest(sae_id, ids)
    hint = (
        f"Did you mean {' or '.join(map(repr, close))}?"
        if close
        else f"It holds {', '.join(ids[:6]) or 'none'}."
    )
    return SaelabError(f"no SAE {sae_id!r} in {repo}. {hint}")


# -------------------------------------------------------------------------------------------------- the hub


def _files(repo: str) -> list[str]:
    """The files of a repository; offline, those in the cache."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not constants.HF_HUB_OFFLINE:
        try:
            return HfApi().list_repo_files(repo)
        except Exception as error:
            if not _kinds(error) & OFFLINE:
                raise explain(repo, error) from error
    try:
        cached = Path(snapshot_download(repo, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise SaelabError(
            f"{repo} is not a folder here, the hub cannot be reached (offline), and the cache does not hold it. "
            "Download it once with a connection, or pass a local folder"
        ) from error
    return [p.relative_to(cached).as_posix() for p in cached.rglob("*") if p.is_file()]


def _fetch(repo: str, sae_id: str) -> Path:
    from huggingface_hub import hf_hub_download

    files = _files(repo)
    parts = parts_of(files, sae_id)
    if not parts:
        raise _no_id(repo, sae_id, ids_of(files))
    try:
        for path in parts:
            got = Path(hf_hub_download(repo, path))
    except Exception as error:
        raise explain(repo, error) from error
    top = got.parents[len(PurePosixPath(parts[-1]).parts) - 1]
    return top / sae_id


def parts_of(files: Iterable[str], sae_id: str) -> list[str]:
    """Those of ``files`` that belong to one SAE, a folder or a single file."""
    files, target = set(files), PurePosixPath(sae_id)
    single = sae_id in files
    folder = target.parent if single else target
    names = {target.name} if single else set(WEIGHTS)
    for layout in LAYOUTS:
        names |= set(layout.beside_file(target.name) if single else layout.beside)
    return sorted(files & {(folder / name).as_posix() for name in names})


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def explain(repo: str, error: BaseException) -> SaelabError:
    """Which of not found, gated and offline it was."""
    kinds = _kinds(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if "GatedRepoError" in kinds:
        why = "is gated: accept its terms on its hub page, then log in with `hf auth login` (or set HF_TOKEN)"
    elif status in (401, 403) and "RepositoryNotFoundError" not in kinds:
        why = (
            f"is closed: the hub does not let you read or write it (status {status}). Log in with "
            "`hf auth login`, or set HF_TOKEN to a token that may"
        )
    elif kinds & {"RepositoryNotFoundError", "HFValidationError"}:
        why = (
            "is not found on the hub (or is private and you are not logged in), and there is no such folder "
            "here; saelab.catalog() lists published SAEs"
        )
    elif "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
        why = f"has no such file on the hub ({error})"
    elif kinds & OFFLINE or "LocalEntryNotFoundError" in kinds:
        why = "is not whole in the cache, and the hub cannot be reached (offline)"
    else:
        why = f"could not be fetched from the hub ({type(error).__name__}: {error})"
    return SaelabError(f"{repo} {why}")
