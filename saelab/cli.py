"""The command line: ``saelab tour``, ``train``, ``harvest``, ``lab``, ``check`` and ``course``, thin over the library."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from saelab import __version__, bundled
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
    tour.add_argument(
        "--train",
        action="store_true",
        help="train an SAE for smollm2, too, which otherwise begins with the bundled one",
    )
    tour.add_argument("--seed", type=int, default=0)
    tour.add_argument("--open", action="store_true", help="open the report in a browser at the end")
    tour.set_defaults(run=_tour)

    train = commands.add_parser(
        "train",
        help="train an SAE as a file says; under torchrun by several processes, each with some of the latents",
        description="Train an SAE as spec.json says: the keywords of sl.train, with model "
        "(model_dtype, model_digest) and texts (a .txt or .jsonl file), or store. "
        "`torchrun --nproc-per-node 4 -m saelab train spec.json` trains the same SAE by four processes.",
    )
    _takes_spec(train, _train)

    harvest = commands.add_parser(
        "harvest",
        help="write activations to a store as a file says; under torchrun by several processes",
        description="Harvest as spec.json says: the keywords of sl.ActivationStore.write, with model and texts (a .txt or "
        ".jsonl file). `torchrun --nproc-per-node 4 -m saelab harvest spec.json` shares each pass of the model.",
    )
    _takes_spec(harvest, _harvest)

    _notebook_parsers(commands)
    return parser


def _notebook_parsers(commands: Any) -> None:
    lab = commands.add_parser(
        "lab",
        help="copy the tutorial and workshop notebooks to a folder, open JupyterLab there",
        description="Copy the tutorial notebooks (00_ … 10_) and the workshop's (workshop/w1_ … w6_) and open JupyterLab "
        "there. What is there already stays as it is.",
    )
    lab.add_argument(
        "folder", nargs="?", type=Path, default=Path("saelab-notebooks"), help="(default: saelab-notebooks)"
    )
    lab.add_argument("--no-open", action="store_true", help="copy only")
    lab.add_argument("--port", type=int, help="of JupyterLab (default: its own choice)")
    lab.set_defaults(run=_lab)

    check = commands.add_parser(
        "check",
        help="whether this machine will do for the workshop",
        description="Versions, memory, a widget in the browser, and the minutes that each part of the workshop computes "
        "here. Takes half a minute; the exit code is 1 if something is in the way.",
    )
    check.add_argument("--no-browser", action="store_true", help="do not open a page with a widget")
    check.set_defaults(run=_check)
    _course_parser(
        commands.add_parser(
            "course",
            help="for the workshop's teacher: board of a class, folder for offline, slides, solutions",
            description="What a teacher of the workshop needs: `pack` before it, `slides` and `board` in it, `solutions` "
            "after it. workshop/TEACHER.md, which `saelab lab` copies, has the plan. Students take the notebooks by "
            "`saelab lab`, and begin with workshop/w1_read_a_latent.ipynb.",
        )
    )


def _takes_spec(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    command.add_argument("spec", type=Path)
    command.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        help="seconds until a rank that hears nothing of another gives up",
    )
    command.set_defaults(run=run)


def _course_parser(course: argparse.ArgumentParser) -> None:
    acts = course.add_subparsers(required=True, metavar="WHAT")
    board = acts.add_parser(
        "board",
        help="an offline page of a class, from the students' course-NAME.json",
        description="Who passed what, which exercise most are stuck on, the blind case by F1. Each student's record is "
        "course-NAME.json in the folder of the notebooks: collect them in one folder, run again at any time.",
    )
    board.add_argument("folder", type=Path, help="holds the records, in it or in folders below")
    board.add_argument("--out", type=Path, help="the page (default: board.html in the folder)")
    board.set_defaults(run=_board)
    pack = acts.add_parser(
        "pack",
        help="gather wheels and notebooks in a folder that installs without a network",
        description="Needs a network itself, and for one platform and one Python some 300 to 500 MB. On a student's "
        "machine: `python install.py` in the folder. For Linux name a CPU build of torch, "
        "`--index https://download.pytorch.org/whl/cpu`: without it the builds for a GPU come along, several GB.",
    )
    pack.add_argument("folder", type=Path, help="made if it is not there, such as a stick's")
    pack.add_argument(
        "--platform",
        action="append",
        help="windows, mac, mac-intel, linux, linux-arm; may be repeated (default: windows, mac, linux)",
    )
    pack.add_argument("--python", action="append", help="3.11, 3.12, 3.13; may be repeated (default: all)")
    pack.add_argument("--wheel", type=Path, help="saelab's own wheel (default: made from this installation)")
    pack.add_argument("--index", help="another index, such as PyTorch's of CPU builds for Linux")
    pack.add_argument("--find-links", type=Path, help="a folder with wheels, such as a CPU build of torch")
    pack.set_defaults(run=_pack)
    slides = acts.add_parser(
        "slides",
        help="the workshop's notebooks as slides that open offline",
        description="One HTML file a part, from the notebooks' own cells; arrow keys turn the pages.",
    )
    slides.add_argument("folder", type=Path, help="where they are written")
    slides.set_defaults(run=_slides)
    solved = acts.add_parser(
        "solutions",
        help="the workshop's notebooks with their solutions, executed",
        description="Runs w1 to w6 with the solutions in the place of the stubs, some minutes in all.",
    )
    solved.add_argument("folder", type=Path, help="where they are written")
    solved.add_argument("--name", default="Teacher", help="for which student; what is hidden depends on it")
    solved.set_defaults(run=_solutions)


def _tour(options: argparse.Namespace) -> int:
    from saelab.tour import tour

    report = tour.run(
        options.model, hook=options.hook, out=options.out, force=options.force, quick=options.quick,
        train=options.train, seed=options.seed, say=print,
    )  # fmt: skip
    print(report)
    if options.open:
        import webbrowser

        webbrowser.open(report.resolve().as_uri())
    return 0


def _check(options: argparse.Namespace) -> int:
    from saelab.course.machine import check_machine

    found = check_machine(browser=not options.no_browser)
    print(found)
    return 0 if found.ready else 1


def _board(options: argparse.Namespace) -> int:
    from saelab.course.board import board

    print(board(options.folder, options.out))
    return 0


def _pack(options: argparse.Namespace) -> int:
    from saelab.course.pack import PYTHONS, pack, summary

    folder = pack(
        options.folder, options.platform or ("windows", "mac", "linux"), options.python or PYTHONS, wheel=options.wheel,
        index=options.index, find_links=options.find_links,
    )  # fmt: skip
    held = summary(folder)
    print(
        f"{folder}: {len(held['wheels'])} wheels, {held['bytes'] / 1e6:,.0f} MB. On the other machine: python install.py"
    )
    if held["gpu"]:
        print(
            f"{len(held['gpu'])} of them are for a GPU; with --index or --find-links give a CPU build of torch"
        )
    return 0


def _slides(options: argparse.Namespace) -> int:
    from saelab.course.slides import slides

    for path in slides(options.folder):
        print(path)
    return 0


def _solutions(options: argparse.Namespace) -> int:
    from saelab.course.executed import solutions

    for path in solutions(options.folder, options.name):
        print(path)
    return 0


def _train(options: argparse.Namespace) -> int:
    from saelab.training import launch

    return _said(launch.run(options.spec, options.timeout))


def _harvest(options: argparse.Namespace) -> int:
    from saelab.training import launch

    return _said(launch.harvest(options.spec, options.timeout))


def _said(told: str) -> int:
    if told:
        print(told)
    return 0


def _lab(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if folder.exists() and not folder.is_dir():
        raise SaelabError(f"{folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    source = bundled.notebooks()
    copied = kept = 0
    for notebook in sorted([*source.glob("*.ipynb"), *source.glob("workshop/*.ipynb")]):
        target = folder / notebook.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        if target.exists():  # somebody's work of last time
            kept += 1
        else:
            shutil.copyfile(notebook, target)
            copied += 1
    print(f"{folder}: {copied} notebooks copied" + (f", {kept} of before kept as they are" if kept else ""))
    if options.no_open:
        return 0
    port = [] if options.port is None else [f"--ServerApp.port={options.port}"]
    return subprocess.call(
        [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder.resolve()}", *port]
    )
