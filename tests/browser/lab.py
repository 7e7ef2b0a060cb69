"""A real JupyterLab and its kernels, driven from a test."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
READY = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@dataclass(frozen=True)
class Lab:
    """A running server: notebooks are in ``root``, everything Jupyter writes is in ``state``."""

    url: str
    token: str
    root: Path
    state: Path

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}?token={self.token}", timeout=10) as reply:
            return json.load(reply)

    def client(self, notebook: str) -> Any:
        """A client of the kernel that runs a notebook; stop its channels when done."""
        from jupyter_client import BlockingKernelClient

        kernel = next(s["kernel"]["id"] for s in self.get("api/sessions") if s["path"] == notebook)
        client = BlockingKernelClient(connection_file=str(self.state / "runtime" / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        return client

    def shut_down(self, notebook: str) -> None:
        """End the kernel of a notebook: many idle ones use up a small machine."""
        for session in self.get("api/sessions"):
            if session["path"] == notebook:
                request = urllib.request.Request(
                    f"{self.url}/api/sessions/{session['id']}?token={self.token}", method="DELETE"
                )
                urllib.request.urlopen(request, timeout=20).close()


@contextlib.contextmanager
def jupyterlab(root: Path, state: Path) -> Iterator[Lab]:
    """JupyterLab on a free loopback port; nobody's own settings are read or changed."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    token = secrets.token_hex(16)
    quiet = state / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_DATA_DIR": str(state / "data"),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(state / "workspaces"),
        "IPYTHONDIR": str(state / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(REPO), str(REPO / "tests")]),
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
        "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    with (state / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    lab = Lab(f"http://127.0.0.1:{port}", token, root, state)
    try:
        _wait_for(lab, server)
        yield lab
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for(lab: Lab, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            lab.get("api")
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError((lab.state / "server.log").read_text())


def evaluate(client: Any, expression: str) -> Any:
    """Value of an expression in a notebook's kernel, through JSON."""
    reply = client.execute_interactive(
        "", user_expressions={"x": f"__import__('json').dumps({expression})"}, timeout=60, store_history=False
    )
    value = reply["content"]["user_expressions"]["x"]
    if value["status"] != "ok":
        raise RuntimeError(f"{expression}: {value.get('evalue', value)}")
    return json.loads(eval(value["data"]["text/plain"]))  # the repr of a JSON string


def eventually(page: Any, ask: Any, expression: str, want: Any, seconds: float = 120) -> None:
    """Wait until an expression in the kernel has a value: what a view sends arrives on another thread."""
    deadline = time.monotonic() + seconds
    while (got := ask(expression)) != want:
        if time.monotonic() > deadline:
            raise AssertionError(f"{expression} is {got!r}, not {want!r}")
        page.wait_for_timeout(50)


def wait_for_subshell(page: Any) -> None:
    """JupyterLab gives widgets a kernel thread of their own; what is sent before that waits for running cells."""
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.wait_for_function(f"() => [...{kernel}._comms.values()].some(c => c.subshellId)")


def write_notebook(path: Path, sources: tuple[str, ...]) -> None:
    """A notebook with these code cells."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def open_notebook(page: Any, lab: Lab, name: str, *, run: bool = True) -> None:
    """Open a notebook and run all its cells."""
    page.goto(f"{lab.url}/lab/tree/{name}?token={lab.token}&reset")
    page.wait_for_function(READY, timeout=240_000)
    if run:
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


def use_theme(page: Any, dark: bool) -> None:
    """JupyterLab's own light or dark theme."""
    name = "JupyterLab Dark" if dark else "JupyterLab Light"
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    page.wait_for_function(
        "(light) => document.body.dataset.jpThemeLight === light", arg=str(not dark).lower()
    )
