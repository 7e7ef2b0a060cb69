"""Where a source is: on disk, in the catalog, or on the Hugging Face hub (with its cache and offline
mode). How the files of an SAE are called is said by the formats (:class:`saelab.formats.format.Layout`)."""

from __future__ import annotations

import os
import posixpath
import re
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from saelab.bundled import SAES
from saelab.errors import SaelabError, nearest
from saelab.files import write_text
from saelab.formats import catalog
from saelab.formats.readers import FORMATS

LAYOUTS = [form.LAYOUT for form in FORMATS]
WEIGHTS = {name for layout in LAYOUTS for name in layout.weights}
FILES = WEIGHTS | {name for layout in LAYOUTS for name in layout.beside}
SCAN = 20_000
SECONDS = 5  # to wait for the hub
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
    commit: str | None = None  # of the repository they were fetched from

    @property
    def fetched(self) -> bool:
        return self.commit is not None


def locate(source: str, sae_id: str | None, revision: str | None = None, token: str | None = None) -> Place:
    """Find the SAE, and fetch it if it is on the hub."""
    path = Path(source).expanduser()
    if path.exists():
        if revision is not None:
            raise SaelabError(f"{source} is here, and not on the hub: it has no revision {revision!r}")
        hint = source if sae_id is None else f"{source}/{sae_id}"
        return Place(_inside(path, sae_id), hint, {})
    entry = catalog.find(source, sae_id)
    if entry is not None:
        repo, inner = Repo(entry["repo"], revision, token), entry["path"]
        found, commit = repo.fetch(inner)
        return Place(found, f"{repo.name}/{inner}", catalog.facts(entry), entry["format"], commit)
    address = parse(source)
    close = catalog.suggest(source)
    hint = f" Did you mean {' or '.join(map(repr, close))} of the catalog?" if close else ""
    bundled = nearest(source, SAES, n=1)
    hint = f" Did you mean {bundled[0]!r}, which comes with the package?" if bundled else hint
    if address is None:
        raise SaelabError(
            f"no folder or file {source!r}, and it is no address of the hub: org/repo, org/repo/folder, "
            f"org/repo@revision, or a page of huggingface.co.{hint}"
        )
    name, said, inside = address
    if said and revision and said != revision:
        raise SaelabError(f"{source!r} names the revision {said!r}, revision={revision!r} another one")
    wanted = "/".join(part.strip("/") for part in (inside, sae_id) if part) or None
    try:
        repo = Repo(name, said or revision, token)
        chosen = _choose(name, ids_of(repo.files), wanted)
        found, commit = repo.fetch(chosen)
    except SaelabError as error:
        if not (inside and close):
            raise
        raise SaelabError(f"{error}.{hint}") from error
    return Place(
        found, f"{name}/{chosen}".rstrip("/."), catalog.facts(catalog.at(name, chosen)), None, commit
    )


# what comes before org/repo in an address
SCHEMES = re.compile(r"hf://(?:models/)?|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/")
# a branch, tag or commit; those the hub makes by itself have slashes
ADDRESS = re.compile(r"([\w-][\w.-]*/[\w.-]+)(?:/([^@]+))?(?:@((?:refs/\w+/)?[^/@]+)(?:/(.+))?)?")


def parse(source: str) -> tuple[str, str | None, str] | None:
    """(org/repo, revision, path in it) of an address of the hub; None if it is none.

    >>> parse("org/repo@v1"), parse("https://huggingface.co/org/repo/tree/main/layer_3")
    (('org/repo', 'v1', ''), ('org/repo', 'main', 'layer_3'))
    """
    scheme = SCHEMES.match(source)
    rest = unquote(source[scheme.end() :] if scheme else source).split("?")[0].split("#")[0].rstrip("/")
    if scheme and rest.startswith(("datasets/", "spaces/")):
        raise SaelabError(f"{source} is no model repository; SAEs are read from those")
    if not scheme and "://" in source:
        raise SaelabError(f"{source} is not of huggingface.co; download it, and give the folder it is in")
    page = re.fullmatch(r"([^/@]+/[^/@]+)/(?:tree|blob|resolve|raw)/((?:refs/\w+/)?[^/]+)(?:/(.+))?", rest)
    if page is not None and scheme:
        return page[1], page[2], page[3] or ""
    match = ADDRESS.fullmatch(rest)
    return None if match is None else (match[1], match[3], match[2] or match[4] or "")


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
        wanted = PurePosixPath(sae_id.strip("/"))
        if wanted.name in FILES:  # a file of the SAE in that folder
            wanted = wanted.parent
        if wanted.as_posix() in ids:
            return wanted.as_posix()
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


class Repo:
    """A repository at one revision. The hub is asked once, for a few seconds; where it does not answer, what the cache
    holds is used, and a warning says so.

    Attributes
    ----------
    files
        The files there; of the cache's copy, those it holds.
    commit
        The commit they are of.
    """

    def __init__(self, name: str, revision: str | None = None, token: str | None = None):
        from huggingface_hub import HfApi, constants

        self.name, self.revision, self.token = name, revision, token
        self.fresh = False  # whether the hub has said what is there
        if constants.HF_HUB_OFFLINE:
            self._use_cache("(offline)")
            return
        try:
            info = HfApi(token=token).model_info(name, revision=revision, timeout=SECONDS)
        except Exception as error:
            if not _unreachable(error):
                raise explain(name, error, revision) from error
            self._use_cache(_why(error), error)
            return
        self.files = [file.rfilename for file in info.siblings or ()]
        self.commit, self.fresh = str(info.sha), True

    def _use_cache(self, why: str, error: Exception | None = None) -> None:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            cached = Path(snapshot_download(self.name, revision=self.revision, local_files_only=True))
        except (LocalEntryNotFoundError, OSError, ValueError) as missing:
            at = f" at {self.revision}" if self.revision else ""
            raise SaelabError(
                f"{self.name}{at} is not a folder here, the hub cannot be reached {why}, and the cache does not hold "
                "it. Download it once with a connection, or pass a local folder"
            ) from missing
        self.files = [p.relative_to(cached).as_posix() for p in cached.rglob("*") if p.is_file()]
        self.commit = cached.name
        if error is not None:
            warnings.warn(
                f"the hub cannot be reached {why}: {self.name} is read from the cache, at revision {self.commit[:12]}",
                stacklevel=2,
            )

    def fetch(self, sae_id: str) -> tuple[Path, str]:
        """The folder or file of one SAE here, and the commit it is of."""
        from huggingface_hub import hf_hub_download

        parts = parts_of(self.files, sae_id)
        if not parts:
            raise _no_id(self.name, sae_id, ids_of(self.files))
        try:
            for path in parts:  # those in the cache are not asked for again: a commit does not change
                got = Path(hf_hub_download(self.name, path, revision=self.commit, token=self.token))
        except Exception as error:
            raise explain(self.name, error, self.revision) from error
        top = got.parents[len(PurePosixPath(parts[-1]).parts) - 1]  # …/snapshots/<commit>
        if self.revision != self.commit and self.fresh:  # so that the cache knows what the name stands for
            write_text(top.parents[1] / "refs" / (self.revision or "main"), self.commit)
        return top / sae_id, self.commit


def _unreachable(error: BaseException) -> bool:
    """Whether another try might succeed: no connection, too many requests, or an answer of the 500s."""
    status = _status(error) or 0
    return bool(_kinds(error) & OFFLINE) or status == 429 or status >= 500


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _why(error: BaseException) -> str:
    status = _status(error)
    return f"(it answers {status})" if status else "(offline)"


def parts_of(files: Iterable[str], sae_id: str) -> list[str]:
    """Those of ``files`` that belong to one SAE, a folder or a single file."""
    files, target = set(files), PurePosixPath(sae_id)
    single = sae_id in files
    folder = target.parent if single else target
    names = {target.name} if single else set(WEIGHTS)
    for layout in LAYOUTS:
        names |= set(layout.beside_file(target.name) if single else layout.beside)
    return sorted(files & {posixpath.normpath((folder / name).as_posix()) for name in names})


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def explain(repo: str, error: BaseException, revision: str | None = None) -> SaelabError:
    """Which of not found, gated and offline it was."""
    kinds, status = _kinds(error), _status(error)
    if "RevisionNotFoundError" in kinds:
        why = f"has no branch, tag or commit {revision!r} on the hub"
    elif "GatedRepoError" in kinds:
        why = (
            "is gated: accept its terms on its hub page, then log in with `hf auth login` (or set HF_TOKEN, or give "
            "token=…)"
        )
    elif status in (401, 403) and "RepositoryNotFoundError" not in kinds:
        why = (
            f"is closed: the hub does not let you read or write it (status {status}). Log in with "
            "`hf auth login`, set HF_TOKEN to a token that may, or give token=…"
        )
    elif kinds & {"RepositoryNotFoundError", "HFValidationError"}:
        why = (
            "is not found on the hub (or is private and you are not logged in), and there is no such folder "
            "here; saelab.catalog() lists published SAEs"
        )
    elif "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
        why = f"has no such file on the hub ({error})"
    elif _unreachable(error) or "LocalEntryNotFoundError" in kinds:
        why = f"is not whole in the cache, and the hub cannot be reached {_why(error)}"
    else:
        why = f"could not be fetched from the hub ({type(error).__name__}: {error})"
    return SaelabError(f"{repo} {why}")
