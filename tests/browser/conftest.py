"""One JupyterLab and one Chromium for the whole run; a page, and a kernel, for each test."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from lab import CHROMIUM, evaluate, jupyterlab, open_notebook, write_notebook

HERE = Path(__file__).parent
MISSING = (
    "install Chromium (apt install chromium, or set CHROMIUM to its path) to run the browser tests"
    if not CHROMIUM
    else "pip install -e '.[test]' (playwright is missing) to run the browser tests"
    if importlib.util.find_spec("playwright") is None
    else ""
)
REQUIRED = os.environ.get("SAELAB_REQUIRE_BROWSER") == "1"
_skipped: list[str] = []


def pytest_collection_modifyitems(items):
    if MISSING and not REQUIRED:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=MISSING))
                _skipped.append(item.nodeid)


def pytest_terminal_summary(terminalreporter):
    if _skipped:
        terminalreporter.write_line(f"{len(_skipped)} browser tests skipped: {MISSING}")


@pytest.fixture(scope="session")
def browser():
    if MISSING:
        pytest.fail(f"SAELAB_REQUIRE_BROWSER=1, but there is no browser: {MISSING}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        # nothing but loopback can be reached, so a widget that asked for a CDN would fail here
        rules = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
        browser = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", f"--host-resolver-rules={rules}"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with jupyterlab(tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="session")
def things(tmp_path_factory):
    from things import make

    return make(tmp_path_factory.mktemp("things"))


@pytest.fixture
def errors():
    """What pages complained of; the test ends with none."""
    said: list[str] = []
    yield said
    assert said == []


def _watched(context, errors):
    page = context.new_page()
    page.set_default_timeout(180_000)  # for a busy machine; each wait ends as soon as it can
    page.on("pageerror", lambda e: errors.append(str(e)))
    return page


@pytest.fixture
def notebook(browser, lab, request, errors):
    """``notebook(*cells)`` runs cells in JupyterLab -> (page, ask); ``ask`` evaluates in the kernel."""
    context = browser.new_context(viewport={"width": 1250, "height": 850})
    name = f"{request.node.name}.ipynb"
    clients = []

    def run(*cells: str):
        write_notebook(lab.root / name, cells)
        page = _watched(context, errors)
        open_notebook(page, lab, name)

        def ask(expression: str):
            if not clients:
                clients.append(lab.client(name))
            return evaluate(clients[0], expression)

        return page, ask

    yield run
    for client in clients:
        client.stop_channels()
    context.close()
    lab.shut_down(name)


@pytest.fixture
def saved(browser, errors):
    """``saved(path, dark=False)`` opens a file from disk in a browser that is offline."""
    contexts = []

    def show(path: Path, *, dark: bool = False, width: int = 1100):
        context = browser.new_context(
            viewport={"width": width, "height": 850}, offline=True, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = _watched(context, errors)
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
        page.asked = asked
        page.goto(path.resolve().as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
