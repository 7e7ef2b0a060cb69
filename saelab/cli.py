"""The command line: ``saelab tour`` and ``saelab lab``, thin over the library."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from saelab import __version__
from saelab.errors import SaelabError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (0, or 2 for something the user can put right)."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except SaelabError as error:
        print(f"saelab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("saelab: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saelab", description="Sparse autoencoders on language models: train, see, explain, steer."
    )
    parser.add_argument("--version", action="version", version=f"saelab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    tour = commands.add_parser(
        "tour",
        help="train an SAE, find and explain latents, steer with one, and write report.html",
        description="Go the whole way on a model: train an SAE, index every latent, explain some as N2G graphs, "
        "steer, and write a folder with a report that opens offline.",
    )
    tour.add_argument(
        "--model", default="zoo", help="zoo (default, bundled), smollm2, a hub name, a folder or a .gguf"
    )
    tour.add_argument("--hook", help="hook point to read (default: one that suits the model)")
    tour.add_argument("--out", type=Path, help="folder to write (default: saelab-tour or saelab-tour-MODEL)")
    tour.add_argument(
        "--force", action="store_true", help="replace the result of an earlier tour in that folder"
    )
    tour.add_argument(
        "--quick", action="store_true", help="a tenth of the work: shows the way, numbers are rough"
    )
    tour.add_argument("--seed", type=int, default=0)
    tour.add_argument("--open", action="store_true", help="open the report in a browser at the end")
    tour.set_defaults(run=_tour)

    lab = commands.add_parser("lab", help="copy the tutorial notebooks to a folder and open JupyterLab there")
    lab.add_argument("folder", nargs="?", type=Path, default=Path("saelab-notebooks"))
    lab.add_argument("--no-open", action="store_true", help="copy only")
    lab.set_defaults(run=_lab)
    return parser


def _tour(options: argparse.Namespace) -> int:
    from saelab.tour import tour

    report = tour.run(
        options.model, hook=options.hook, out=options.out, force=options.force, quick=options.quick, seed=options.seed,
        say=print,
    )  # fmt: skip
    print(report)
    if options.open:
        import webbrowser

        webbrowser.open(report.resolve().as_uri())
    return 0


def notebooks_folder() -> Path:
    """Where the tutorial notebooks lie: inside an installed package, or at the top of the repository."""
    for folder in (Path(__file__).parent / "notebooks", Path(__file__).parents[1] / "notebooks"):
        if list(folder.glob("*.ipynb")):
            return folder
    raise SaelabError("this installation has no notebooks")


def _lab(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if folder.exists() and not folder.is_dir():
        raise SaelabError(f"{folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(notebooks_folder().glob("*.ipynb")):
        target = folder / notebook.name
        if target.exists():  # somebody's work of last time
            print(f"kept {target}")
        else:
            shutil.copyfile(notebook, target)
            print(f"copied {target}")
    if options.no_open:
        return 0
    return subprocess.call(
        [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder.resolve()}"]
    )
