"""What a published format is: a module that reads it, and how its files are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from saelab.formats.keys import Key
from saelab.formats.source import SAEFiles
from saelab.sae import SAE


@dataclass(frozen=True)
class Layout:
    """The names of a format's files, by which SAEs are found in a repository and fetched.

    Attributes
    ----------
    weights
        Files that make the folder they are in an SAE; ``checkpoints/final.safetensors`` does so for the folder
        above.
    single
        Pattern of a file that is an SAE by itself.
    beside
        Small files that say what the weights in the same folder are; ``{0}`` is the first group of ``single``.
    """

    weights: tuple[str, ...] = ()
    single: str = r"(?!)"
    beside: tuple[str, ...] = ()

    def beside_file(self, name: str) -> list[str]:
        """Files that belong to the single file ``name``."""
        match = re.fullmatch(self.single, name)
        groups = match.groups() if match else ()
        return [n.format(*groups) for n in self.beside if match or "{" not in n]


class Format(Protocol):
    """What each module of :mod:`saelab.formats.readers` is.

    A new format is such a module and its place in ``readers.FORMATS``. Most read as: ``src.config()`` gives what
    the keys of the config mean, each of them declared in ``KEYS``, and ``src.weights()`` the tensors; each tensor is
    mapped to a parameter of ours, and ``assemble`` refuses what is left over. What stands in the way is added to
    ``src.obstacles``, so that one message names it all.
    """

    @property
    def NAME(self) -> str: ...

    @property
    def LAYOUT(self) -> Layout: ...

    @property
    def KEYS(self) -> Mapping[str, Key]:
        """Every key of its config."""
        ...

    def detect(self, src: SAEFiles) -> bool:
        """Whether the files are of this format, by what is in them; nothing is guessed from a name alone."""
        ...

    def read(self, src: SAEFiles) -> SAE:
        """The SAE; what the files do not say is asked for, never assumed."""
        ...


class Writable(Format, Protocol):
    """A format that is also written."""

    def write(self, sae: SAE, path: Path) -> Path:
        """The folder or file written; an SAE that the format cannot express is refused before."""
        ...
