"""Files of SAEs. ``load_sae`` finds out what a folder holds from what is in it."""

from __future__ import annotations

from pathlib import Path

from saelab.errors import SaelabError, unknown
from saelab.formats import native
from saelab.sae import SAE

FORMATS = {"saelab": native}


def load_sae(source: str | Path, *, format: str | None = None, device: str = "cpu") -> SAE:
    """Load an SAE.

    Parameters
    ----------
    source
        A folder written by ``sae.save``, or ``"zoo"`` for the bundled one.
    format
        ``"saelab"``; None finds out from the files.
    device
        Where to put it.

    Raises
    ------
    SaelabError
        If the folder is missing, is of no known format, or its files are damaged.
    """
    if str(source) == "zoo":
        from saelab import zoo

        return zoo.load_sae().to(device)
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    folder = Path(source).expanduser()
    if not folder.exists():
        raise SaelabError(f"no folder {folder}")
    for name, module in FORMATS.items():
        if format == name or (format is None and module.detect(folder)):
            return module.load(folder).to(device)
    inside = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) if folder.is_dir() else "not a folder"
    raise SaelabError(
        f"{folder} holds no SAE of a known format ({', '.join(FORMATS)}); found: {inside or 'nothing'}"
    )
