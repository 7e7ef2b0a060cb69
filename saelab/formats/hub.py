"""Where a source is: on disk, in the catalogue, or on the Hugging Face hub (with its cache and offline
mode)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from saelab.errors import SaelabError, nearest

# a folder with one of these is an SAE
WEIGHTS = (
    "sae_weights.safetensors",
    "sae.safetensors",
    "params.npz",
    "params.safetensors",
    "ae.pt",
    "cc_weights.pt",
    "weights.safetensors",
    "sae.pt",
)
NESTED = "checkpoints/final.safetensors"
SINGLE = re.compile(r"(?:layer_?\d+(?:\.sae)?|\d+|.*SAE-l\d+|W_enc_\d+|samples_\d+)\.(?:pt|pth|safetensors)")
# small files that may say what the weights beside, or above, them are
CONFIGS = (
    "config.json",
    "cfg.json",
    "hyperparams.json",
    "config.yaml",
    "final_config.yaml",
    "history.json",
    "record.json",
)
SCAN = 20_000


def locate(source: str, sae_id: str | None) -> tuple[Path, str, dict[str, Any], str | None]:
    """(path, name it is known by, facts the catalogue knows, format the catalogue knows)."""
    path = Path(source).expanduser()
    if path.exists():
        return _inside(path, sae_id), source if sae_id is None else f"{source}/{sae_id}", {}, None
    from saelab.formats import catalog

    entry = catalog.find(source, sae_id)
    if entry is not None:
        return (
            _fetch(entry["repo"], entry["path"]),
            f"{entry['repo']}/{entry['path']}",
            entry["given"],
            entry["format"],
        )
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not source.startswith("."):
        ids = list_ids(source)
        chosen = choose(source, ids, sae_id)
        return _fetch(source, chosen), f"{source}/{chosen}".rstrip("/."), {}, None
    close = catalog.suggest(source)
    hint = f" Did you mean {' or '.join(map(repr, close))} of the catalogue?" if close else ""
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
    found = []
    for root, _, names in os.walk(folder):
        found += [(Path(root) / name).relative_to(folder).as_posix() for name in names]
        if len(found) > SCAN:
            break
    return ids_of(found)


def ids_of(files: Iterable[str]) -> list[str]:
    """The SAEs among ``files``: folders with weights of a known name ("." for the top), and single files."""
    ids: list[str] = []
    for name in sorted(files):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            continue
        if path.name in WEIGHTS:
            ids.append(path.parent.as_posix())
        elif name.endswith(NESTED):
            ids.append(path.parent.parent.as_posix())
        elif SINGLE.fullmatch(path.name):
            ids.append(name)
    return list(dict.fromkeys(ids))


def choose(repo: str, ids: list[str], sae_id: str | None) -> str:
    """The one SAE that is meant, or an error that lists what there is."""
    if sae_id is not None:
        if sae_id.strip("/") in ids:
            return sae_id.strip("/")
        raise _no_id(repo, sae_id, ids)
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise SaelabError(f"{repo} holds no SAE of a known form")
    raise SaelabError(f"{repo} holds {len(ids)} SAEs; say which: sae_id={', '.join(map(repr, ids[:6]))}"
                      + (" …" if len(ids) > 6 else ""))  # fmt: skip


def _no_id(repo: str, sae_id: str, ids: list[str]) -> SaelabError:
    close = nearest(sae_id, ids)
    hint = (
        f"Did you mean {' or '.join(map(repr, close))}?"
        if close
        else f"It holds {', '.join(ids[:6]) or 'none'}."
    )
    return SaelabError(f"no SAE {sae_id!r} in {repo}. {hint}")


# -------------------------------------------------------------------------------------------------- the hub


def list_ids(repo: str) -> list[str]:
    """The SAEs of a hub repository; offline, those in the cache."""
    return ids_of(_files(repo))


def _files(repo: str) -> list[str]:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not constants.HF_HUB_OFFLINE:
        try:
            return HfApi().list_repo_files(repo)
        except Exception as error:
            if not _no_network(error):
                raise explain(repo, error) from error
    try:
        cached = Path(snapshot_download(repo, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise SaelabError(
            f"{repo} is not a folder here, the hub cannot be reached (offline), and the cache does not "
            f"hold it. "
            "Download it once with a connection, or pass a local folder"
        ) from error
    return [p.relative_to(cached).as_posix() for p in cached.rglob("*") if p.is_file()]


def _fetch(repo: str, sae_id: str) -> Path:
    from huggingface_hub import hf_hub_download

    files = _files(repo)
    folder = PurePosixPath(sae_id)
    single = sae_id in files
    wanted = [
        name
        for name in files
        if name == sae_id
        or (not single and PurePosixPath(name).is_relative_to(folder) and _part(name, folder))
        or (
            single
            and PurePosixPath(name).parent == folder.parent
            and _beside(PurePosixPath(name).name, folder)
        )
    ]
    if not wanted:
        raise _no_id(repo, sae_id, ids_of(files))
    try:
        got = {name: Path(hf_hub_download(repo, name)) for name in wanted}
    except Exception as error:
        raise explain(repo, error) from error
    if single:
        return got[sae_id]
    name, path = next(iter(got.items()))
    return path.parents[len(PurePosixPath(name).relative_to(folder).parts) - 1]


def _beside(name: str, file: PurePosixPath) -> bool:
    """Whether a file next to a single one belongs to it."""
    return name in CONFIGS or name in (f"{file.stem}_cfg.json", file.name.replace("W_enc_", "W_dec_"))


def _part(name: str, folder: PurePosixPath) -> bool:
    inner = PurePosixPath(name).relative_to(folder).as_posix()
    return inner in (*WEIGHTS, *CONFIGS, NESTED)


def _no_network(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        names
        & {
            "ConnectionError",
            "ConnectError",
            "Timeout",
            "TimeoutException",
            "OfflineModeIsEnabled",
            "TransportError",
            "ProxyError",
        }
    )


def explain(repo: str, error: BaseException) -> SaelabError:
    """Which of not found, gated and offline it was."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in names:
        return SaelabError(
            f"{repo} is gated: accept its terms on its hub page, then log in with `hf auth login` (or "
            f"set HF_TOKEN)"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) and "RepositoryNotFoundError" not in names:
        return SaelabError(
            f"the hub does not let you write to or read {repo} (status {status}): log in with `hf auth login`, or "
            "set HF_TOKEN to a token that may"
        )
    if "RepositoryNotFoundError" in names or "HFValidationError" in names:
        return SaelabError(
            f"{repo} is not found on the hub (or is private and you are not logged in), and there is no "
            f"such folder "
            "here; saelab.catalog() lists published SAEs"
        )
    if "EntryNotFoundError" in names and "LocalEntryNotFoundError" not in names:
        return SaelabError(f"{repo} has no such file on the hub ({error})")
    if _no_network(error) or "LocalEntryNotFoundError" in names:
        return SaelabError(f"the hub cannot be reached (offline), and the cache does not hold all of {repo}")
    return SaelabError(f"{repo} could not be fetched from the hub ({type(error).__name__}: {error})")
