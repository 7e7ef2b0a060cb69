"""Will this machine do for the workshop? Versions, memory, widgets, and the minutes each part will take here."""

from __future__ import annotations

import http.server
import secrets
import sys
import tempfile
import textwrap
import threading
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from saelab.course.exercises import PARTS
from saelab.doors import door
from saelab.errors import free_memory
from saelab.widgets.environment import NEEDED, OTHERS, problems, version

# seconds of one core that a part's solutions and checks took where the measure below took REFERENCE seconds
REFERENCE = 0.35
SECONDS = {"w1": 25, "w2": 40, "w3": 20, "w4": 15, "w5": 30, "w6": 30}
MEMORY = 3e9  # bytes that a part needs at most


@dataclass(frozen=True)
class Machine:
    """What :func:`check_machine` found; ``ready`` if nothing is in the way."""

    versions: dict[str, str | None]
    memory: float
    seconds: dict[str, float]
    browser: bool | None
    wrong: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing is in the way."""
        return not self.wrong

    def __repr__(self) -> str:
        have = ", ".join(f"{name} {v or 'missing'}" for name, v in self.versions.items())
        enough = "enough" if self.memory >= MEMORY else "too little"
        ticks = {True: "yes, a widget came alive and said so", False: "no answer", None: "not tried"}[
            self.browser
        ]
        parts = "\n".join(f"  {key} {PARTS[key]:<45} {s / 60:4.1f} min" for key, s in self.seconds.items())
        todo = [textwrap.fill(line, 78, initial_indent="- ", subsequent_indent="  ") for line in self.wrong]
        verdict = "\n".join(["Before the workshop:", *todo]) if todo else "This machine will do."
        versions = textwrap.fill(f"Python {sys.version.split()[0]}; {have}", 78, subsequent_indent="  ")
        return (
            f"{versions}\nmemory free: {self.memory / 1e9:.1f} GB, {MEMORY / 1e9:g} are wanted: {enough}\n"
            f"widgets in your browser: {ticks}\ncomputing here, of each part's 25 minutes:\n{parts}\n"
            f"  in all{'':<42} {sum(self.seconds.values()) / 60:4.1f} min\n{verdict}"
        )


@door
def check_machine(*, browser: bool = True, wait: float = 15.0) -> Machine:
    """Look at this machine, which takes about half a minute.

    Parameters
    ----------
    browser
        Open a page with a widget, which tells back that it was drawn.
    wait
        Seconds to wait for it.
    """
    versions = {p: version(p) for p in ("saelab", *NEEDED, *OTHERS)}
    wrong = [p for p in problems() if "Colab" not in p]
    try:
        with tempfile.TemporaryFile(dir="."):
            pass
    except OSError as error:
        wrong.append(f"nothing can be written in {Path.cwd()} ({error.strerror}): start in a folder of yours")
    memory = free_memory()
    if memory < MEMORY:
        wrong.append(f"only {memory / 1e9:.1f} GB of memory are free: close other programs")
    pace = measured_pace() / REFERENCE
    seconds = {key: s * pace for key, s in SECONDS.items()}
    slow = [key for key, s in seconds.items() if s > 300]
    if slow:
        wrong.append(
            f"slow here: more than five minutes of computing in {', '.join(slow)}; close other programs, or work in pairs"
        )
    ticks = ticking(wait) if browser else None
    if browser and not ticks:
        why = "no browser can be opened from here" if ticks is None else f"no browser answered in {wait:g} s"
        wrong.append(f"{why}: open the notebook w1 and see whether the first widget is drawn")
    return Machine(versions, memory, seconds, ticks, tuple(wrong))


def measured_pace() -> float:
    """Seconds for a piece of the workshop's own work: indexing 60 documents, the faster of two passes."""
    from saelab import zoo
    from saelab.course.material import model_and_sae
    from saelab.index import LatentIndex

    model, sae = model_and_sae()
    rows, _ = zoo.labelled_rows(model, 60, seed=9)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        LatentIndex.build(model, sae, rows, progress=False)
        times.append(time.perf_counter() - begin)
    return min(times)


def ticking(wait: float) -> bool | None:
    """Whether a widget in the default browser comes alive and says so within ``wait`` seconds; None without a browser."""
    word, heard = secrets.token_hex(8), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        path = _page(Path(folder) / "check.html", word)

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == f"/tick-{word}":
                    heard.set()
                body = path.read_bytes() if self.path == f"/{word}" else b""
                self.send_response(200 if body or heard.is_set() else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            if not webbrowser.open(f"http://127.0.0.1:{server.server_address[1]}/{word}"):
                return None
            return heard.wait(wait)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _page(path: Path, word: str) -> Path:
    """A page with a heatmap that calls back once the heatmap's own code has drawn its tokens."""
    from saelab.course.material import model_and_sae
    from saelab.widgets import heatmap, page

    model, sae = model_and_sae()
    page("saelab check", ["You can close this page.", heatmap(model, sae, "GET /index.html HTTP/1.1")], path)
    script = (
        "<script>const seen = setInterval(() => { if (document.querySelector('main .saelab, main [class*=\"sl-heat\"]'))"
        f" {{ clearInterval(seen); fetch('/tick-{word}'); }} }}, 200);</script>"
    )
    text = path.read_text(encoding="utf-8").replace("</body>", f"{script}</body>")
    path.write_text(text, encoding="utf-8")
    return path
