"""One folder with all that a class needs: wheels for several platforms, the notebooks, an install line without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from saelab import __version__, bundled, files
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, unknown

# name of a platform -> the tags that pip is asked for, newest last; a wheel for an older system runs on a newer one
PLATFORMS = {
    "linux": [f"manylinux_2_{n}_x86_64" for n in range(17, 35)] + ["manylinux2014_x86_64", "linux_x86_64"],
    "linux-arm": [f"manylinux_2_{n}_aarch64" for n in range(17, 35)] + ["manylinux2014_aarch64", "linux_aarch64"],
    "mac": [f"macosx_{n}_0_{kind}" for n in range(11, 16) for kind in ("arm64", "universal2")] + ["macosx_10_9_universal2"],
    "mac-intel": [f"macosx_{n}_{m}_{kind}" for n, m in ((10, 9), (10, 12), (10, 13), (10, 15), (11, 0), (12, 0), (13, 0))
                  for kind in ("x86_64", "universal2")],
    "windows": ["win_amd64"],
}  # fmt: skip
PYTHONS = ("3.11", "3.12", "3.13")
SOURCE_ONLY = (
    "transformers-stream-generator",
)  # packages without a wheel; plain Python, so one is made for all
_GPU = re.compile(r"^(nvidia|cuda|triton|cupy)", re.IGNORECASE)
Run = Callable[[list[str]], None]


def _pip(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = [line for line in lines if line.startswith("ERROR")] or lines
        raise SaelabError(
            f"pip {arguments[0]} failed: {' / '.join(said[-3:])[:600]}. A build of torch for the CPU can be given with "
            "find_links (a folder of wheels) or index (an address)"
        )


def commands(
    wheel: Path, wheels: Path, platform: str, python: str, index: str | None, find_links: str | Path | None
) -> list[str]:
    """The arguments of the ``pip download`` for one platform and Python."""
    out = ["download", "--dest", str(wheels), "--only-binary", ":all:", "--python-version", python]
    out += [
        "--implementation",
        "cp",
        "--abi",
        f"cp{python.replace('.', '')}",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    for tag in PLATFORMS[platform]:
        out += ["--platform", tag]
    if index:
        out += ["--extra-index-url", index]
    if find_links:
        out += ["--find-links", str(find_links)]
    # what its packages ask for and PyPI has as source alone lies among the wheels already
    return [*out, "--find-links", str(wheel.parent), f"torch=={_torch()}", str(wheel)]


def _torch() -> str:
    """The version of torch that is installed here, so that all machines of a class have the same; a CPU build of it
    is preferred where pip finds one."""
    return metadata.version("torch").partition("+")[0]


def chosen(platforms: Sequence[str], pythons: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs (platform, Python) to gather, checked."""
    for p in platforms:
        if p not in PLATFORMS:
            raise unknown("platform", p, PLATFORMS)
    for v in pythons:
        if v not in PYTHONS:
            raise unknown("Python", v, PYTHONS)
    if not platforms or not pythons:
        raise SaelabError("name at least one platform and one Python")
    return [(p, v) for p in dict.fromkeys(platforms) for v in dict.fromkeys(pythons)]


@door
def pack(
    folder: str | Path,
    platforms: Sequence[str] = ("windows", "mac", "linux"),
    pythons: Sequence[str] = PYTHONS,
    *,
    wheel: str | Path | None = None,
    index: str | None = None,
    find_links: str | Path | None = None,
    run: Run = _pip,
) -> Path:
    """Gather the workshop in one folder, such as a USB stick; gathering needs the network, installing does not.

    Parameters
    ----------
    folder
        Made if it is not there; what lies in it stays, and wheels that are there are not loaded again.
    platforms, pythons
        For which machines: names of ``saelab.course.pack.PLATFORMS``, versions such as ``"3.12"``.
    wheel
        saelab's own wheel; None makes one of this installation.
    index, find_links
        Where else wheels are: an address such as PyTorch's of CPU builds for Linux (its usual wheel there brings
        gigabytes of CUDA), or a folder.
    run
        How pip is called; ``run(arguments)``.

    Returns
    -------
    Path
        The folder: ``wheels/``, ``notebooks/``, ``install.py``, ``README.txt``, ``pack.json``.

    Raises
    ------
    SaelabError
        For an unknown platform or Python, or where pip finds no wheel.
    """
    folder = Path(folder)
    pairs = chosen(platforms, pythons)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    own = _own_wheel(wheels, wheel, run)
    run(["wheel", "--no-deps", "--wheel-dir", str(wheels), *SOURCE_ONLY])
    for platform, python in Bar(pairs, desc="wheels"):
        run(commands(own, wheels, platform, python, index, find_links))
    _notebooks(folder / "notebooks")
    text = Path(__file__).with_name("install.txt").read_text(encoding="utf-8")
    files.write_text(folder / "install.py", text)
    files.write_text(
        folder / "README.txt", README.format(pythons=" or ".join(dict.fromkeys(v for _, v in pairs)))
    )
    sizes = {p.name: p.stat().st_size for p in sorted(wheels.glob("*.whl"))}
    gpu = [name for name in sizes if _GPU.match(name)]
    files.write_json(folder / "pack.json", {
        "saelab": __version__, "pairs": [list(p) for p in pairs], "bytes": sum(sizes.values()), "wheels": sizes, "gpu": gpu,
    })  # fmt: skip
    return folder


README = """The saelab workshop, without a network.

Install, in this folder, with Python {pythons}:

    python install.py

That makes a folder "saelab-workshop" in your home folder, with an environment and the notebooks. Then it says how to begin.
"""


def _own_wheel(wheels: Path, wheel: str | Path | None, run: Run) -> Path:
    given = None if wheel is None else Path(wheel)
    if given is not None and (given.suffix != ".whl" or not given.is_file()):
        raise SaelabError(f"wheel is saelab's own .whl file, got {given}")
    for old in wheels.glob("saelab-*.whl"):
        if given is None or not old.samefile(given):
            old.unlink()
    if given is not None:
        target = wheels / given.name
        return target if target.exists() else Path(shutil.copy(given, target))
    source = Path(__file__).parents[2]
    if not (source / "pyproject.toml").is_file():
        return _repacked(wheels)
    run(["wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)])
    made = sorted(wheels.glob("saelab-*.whl"))
    if not made:
        raise SaelabError(f"pip made no wheel of {source}")
    return made[-1]


def _repacked(wheels: Path) -> Path:
    """The wheel of an installed saelab, put together again from the files that its record lists."""
    held = metadata.distribution("saelab")
    path = wheels / f"saelab-{__version__}-py3-none-any.whl"
    with (
        files.atomic_write(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for file in held.files or ():
            name = file.as_posix()
            if (
                ".." in name
                or "__pycache__" in name
                or name.endswith(("INSTALLER", "REQUESTED", "direct_url.json"))
            ):
                continue
            archive.write(str(file.locate()), name)
    return path


def _notebooks(target: Path) -> None:
    shutil.copytree(
        bundled.notebooks(), target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )


def summary(folder: Path) -> dict[str, Any]:
    """What ``pack.json`` says."""
    return files.read_json(folder / "pack.json")
