"""What all widgets share: state checked on the way in, requests from the view, errors shown in the view, a
script-free fallback, and export to one offline HTML file.

A widget never computes: it shows an object of the library. JupyterLab runs callbacks in another thread while
a cell runs, so everything a view can ask for goes through one lock of the widget, and whatever touches a
model goes through that model's lock (inside the library functions that are called).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.display import publish_display_data
from ipywidgets import DOMWidget

from saelab.display import in_notebook
from saelab.errors import SaelabError, called, check_number, is_bool, is_scalar, unknown
from saelab.widgets.environment import front_end, require_widgets

require_widgets()

STATIC = Path(__file__).parents[1] / "static"
_PLUMBING = frozenset(DOMWidget.class_trait_names()) | {"_esm", "_css", "_anywidget_id", "zz_end_of_comment"}


# One row per widget, name -> class: the class is in <name>.py, its view in widgets/<name>.js and .css. The build of
# the bundles, the tests and CI read the same file.
REGISTRY: dict[str, str] = json.loads(Path(__file__).with_name("registry.json").read_text(encoding="utf-8"))


@cache
def static_text(name: str) -> str:
    """Text of a bundled file."""
    return (STATIC / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Packed:
    """Answer to a request with binary parts: the view gets ``value`` with ``buffers`` beside its own keys."""

    value: Mapping[str, Any]
    buffers: tuple[bytes, ...]


class Number(traitlets.Float):
    """A finite number, of Python or numpy: what is not finite is no JSON, and no end of a scale."""

    def validate(self, obj: Any, value: Any) -> Any:
        if value is None and self.allow_none:
            return None
        return check_number(self.name or "each of the numbers", value)


class Widget(anywidget.AnyWidget):
    """Base of the widgets; see the module's docstring."""

    module: ClassVar[str] = ""  # name in the registry and of the bundle in saelab/static
    error = traitlets.Dict(help="what went wrong last: message, traceback; empty when all is well").tag(
        sync=True
    )
    # ``jupyter nbconvert --to html`` puts all state into one script element and leaves ``<!--`` in it. To a browser
    # that begins a comment in which ``</script>`` does not end the element, and no widget of the page is drawn. This
    # ends the comment: state is in the order of its names, so it stands behind all text of this widget.
    zz_end_of_comment = traitlets.Unicode("-->", read_only=True).tag(sync=True)

    _picture: str | None = None  # as it was last shown beside the view

    def __init_subclass__(cls, **options: Any) -> None:
        name = cls.__module__.rpartition(".")[2]
        if REGISTRY.get(name) == cls.__name__ and "_esm" not in vars(
            cls
        ):  # add_traits makes subclasses of that name
            # text, because anywidget keeps what was made from a path alive; the path shows an edit at once
            read = STATIC.joinpath if os.environ.get("ANYWIDGET_HMR") == "1" else static_text
            cls.module, cls._esm, cls._css = name, read(f"{name}.js"), read(f"{name}.css")
        super().__init_subclass__(**options)

    def __init__(self, **state: Any):
        allowed = sorted(set(self.trait_names()) - _PLUMBING - {"error"})
        for name in state:
            if name not in allowed and name not in _PLUMBING:
                raise unknown(f"argument of {type(self).__name__}", name, allowed)
        self._lock = threading.RLock()
        self._held: Any = None  # the library objects shown
        self._released = False
        self._picture_id, self._redraw = f"saelab-{uuid.uuid4().hex}", threading.Timer(0, lambda: None)
        super().__init__(**state)
        self.on_msg(self._receive)
        self.observe(self._changed)
        _release_earlier_run(self)
        _answer_in_the_thread_of_widgets(self.comm)

    def __setattr__(self, name: str, value: Any) -> None:
        trait = getattr(type(self), name, None)
        if not isinstance(trait, traitlets.TraitType):
            return super().__setattr__(name, value)
        if is_bool(value) and isinstance(trait, traitlets.Int):
            raise SaelabError(f"{name} must be a number, got {called(value)}")
        try:
            return super().__setattr__(name, value.item() if is_scalar(value) else value)  # type: ignore[attr-defined]
        except traitlets.TraitError:
            raise SaelabError(f"{name} must be {trait.info()}, got {called(value)}") from None

    @property
    def _source(self) -> Any:
        if self._released:
            raise SaelabError("this widget was closed, or its cell was run again; run the cell that makes it")
        return self._held

    # --------------------------------------------------------------------------------------- requests

    def methods(self) -> Mapping[str, Callable[..., Any]]:
        """What the view may call, by name; results are plain JSON, or :class:`Packed`.

        Examples
        --------
        >>> sorted(index.table().methods())
        ['columns', 'label']
        """
        return {}

    def _receive(self, _: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict) or "method" not in content:
            return
        answer: dict[str, Any] = {"request": content.get("request")}
        # at once, so that what takes long is told from a kernel that is gone
        alive = content["method"] == "alive"
        super().send(answer | ({"result": None} if alive else {"taken": True}))
        if alive:
            return
        parts: tuple[bytes, ...] = ()
        try:
            method = self.methods().get(content["method"])
            if method is None:
                raise unknown("request", content["method"], self.methods())
            with self._lock:
                self.clear_error()  # first: a thread that the request starts may fail before it returns
                result = method(**(content.get("params") or {}))
            if isinstance(result, Packed):
                result, parts = result.value, result.buffers
            answer["result"] = result
        except Exception as error:
            answer["error"] = str(error) or type(error).__name__
            self.show_error(error)
        self.send(answer, list(parts))

    def show_error(self, error: BaseException) -> None:
        """Show an exception in the widget, with its traceback on demand."""
        lines = "" if isinstance(error, SaelabError) else "".join(traceback.format_exception(error))
        name = "" if isinstance(error, SaelabError) else f"{type(error).__name__}: "
        self.error = {"message": f"{name}{error}", "traceback": lines}

    def _say(self, mismatch: Sequence[str]) -> None:
        """Show what does not belong together and was allowed."""
        if mismatch:
            self.error = {"message": "; ".join(mismatch), "traceback": ""}

    def clear_error(self) -> None:
        """Take the message away."""
        if self.error:
            self.error = {}

    # ------------------------------------------------------------------------------------------ export

    def state(self) -> dict[str, Any]:
        """The traits that make the picture, as the view gets them."""
        return {k: v for k, v in self.get_state().items() if k not in _PLUMBING and not k.startswith("_")}

    def replies(self, **options: Any) -> dict[str, dict[str, Any]]:
        """Answers a saved page needs without Python: ``request_key(method, params)`` -> traits to set.

        Examples
        --------
        >>> len(index.dashboard(latent).replies())
        1
        """
        if options:
            raise unknown(
                f"export option of {type(self).__name__}", next(iter(options)), self.export_options()
            )
        return {}

    def export_options(self) -> tuple[str, ...]:
        """Names that :meth:`replies` takes.

        Examples
        --------
        >>> index.dashboard(latent).export_options()
        ('latents',)
        """
        return ()

    def export_state(self, **options: Any) -> dict[str, Any]:
        """The state a saved page begins with: what asks Python for something is off.

        Examples
        --------
        >>> index.dashboard(latent).export_state()["read_only"]
        True
        """
        closed = {"read_only": True, "can_ask": False, "can_resume": False}
        return self.state() | {name: v for name, v in closed.items() if self.has_trait(name)} | {"error": {}}

    def fallback(self) -> str:
        """The main content as HTML without scripts: spans with inline styles, which every front end keeps.

        Examples
        --------
        >>> index.dashboard(latent).fallback().count("script")
        0
        """
        raise NotImplementedError

    def export_html(self, path: str | Path, *, title: str | None = None, **options: Any) -> Path:
        """Write one HTML file that shows the widget offline, without Python.

        Parameters
        ----------
        path
            File to write; the folder is made.
        title
            Title of the page.
        options
            What else goes in, see the widget's ``replies``.

        Returns
        -------
        Path
            The file.
        """
        from saelab.widgets.page import Show, page

        name = title or self.title()
        return page(name, [Show(self, options=options)], path)

    def title(self) -> str:
        """Title of an exported page.

        Examples
        --------
        >>> index.dashboard(latent).title().startswith(f"Latent {latent}")
        True
        """
        return type(self).__name__

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/html": self.fallback(), "text/plain": repr(self)}, metadata

    def _ipython_display_(self) -> None:
        """Two outputs: the picture without scripts, and the live view, which takes its place where it is drawn.

        A front end shows one form of an output. JupyterLab takes the live view of a notebook that is opened again,
        writes "model not found" and leaves the picture in the same output alone; nbconvert draws nothing offline.
        """
        data, metadata = self._repr_mimebundle_() or ({}, {})
        if not in_notebook() or front_end() in ("Colab", "VS Code"):  # these hold no two outputs side by side
            publish_display_data(data, metadata)
            return
        picture = self._picture = data.pop("text/html")
        transient = {"display_id": self._picture_id}
        publish_display_data(_static(picture, data.pop("text/plain")), transient=transient)
        publish_display_data({**data, "text/html": "", "text/plain": ""}, metadata)

    def _changed(self, _: Any = None) -> None:
        """The picture is drawn again, soon: a run of training or a text that is steered comes after the view."""
        if self._picture is not None and not self._redraw.is_alive() and not self._released:
            self._redraw = threading.Timer(2.0, self._draw_picture)
            self._redraw.daemon = True
            self._redraw.start()

    def _draw_picture(self) -> None:
        if self._picture is None:
            return
        with self._lock:
            if self._released or self._picture == (drawn := self.fallback()):
                return
            self._picture = drawn
        publish_display_data(
            _static(drawn, repr(self)), transient={"display_id": self._picture_id}, update=True
        )

    def close(self) -> None:
        """Close the view, which leaves its picture, and let go of the model, index or graph behind it."""
        self._draw_picture()
        super().close()
        if "_held" in vars(self):  # else its making was refused
            self.release()

    def release(self) -> None:
        """Let go of the model, index or graph behind the widget. It stays drawn, but can ask for nothing more.

        Examples
        --------
        >>> table = index.table()
        >>> table.release()
        >>> table.to_frame()
        Traceback (most recent call last):
        saelab.errors.SaelabError: this widget was closed, or its cell was run again; run the cell that makes it
        """
        self._held, self._released = None, True


# The outputs of a cell follow each other: the first stands where the second has no live view, and only there.
_ONE_OF_TWO = """<style>
.jp-OutputArea-child:has(.saelab-static):has(+ .jp-OutputArea-child .saelab) { display: none; }
.jp-OutputArea-child:has(.saelab-static) + .jp-OutputArea-child:not(:has(.saelab, [data-mime-type])) { display: none; }
</style>"""


def _static(picture: str, text: str) -> dict[str, str]:
    return {"text/html": f'{_ONE_OF_TWO}<div class="saelab-static">{picture}</div>', "text/plain": text}


def _answer_in_the_thread_of_widgets(comm: Any) -> None:
    # JupyterLab has a kernel thread made for widgets and names it in each message. ipykernel 7.4 overrules that:
    # what a view says goes to the thread that last wrote to the view, and for a widget made by a cell that is the
    # one that runs cells. Our requests wait for no cell (and Cancel must not).
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, named: named


# Jupyter keeps every widget until the kernel ends, and with it the model behind it. A cell that is run again draws
# new ones, so those of its earlier run let go: loading a model five times must not need the memory of five.
_of_cell: dict[str, tuple[str, list[weakref.ref[Widget]]]] = {}


def _release_earlier_run(widget: Widget) -> None:
    run = _running_cell()
    if run is None:
        return
    cell, message = run
    known, widgets = _of_cell.get(cell, ("", []))
    if known != message:
        for reference in widgets:
            earlier = reference()
            if earlier is not None:
                earlier.release()
        widgets = []
    _of_cell[cell] = (message, [*widgets, weakref.ref(widget)])


def _running_cell() -> tuple[str, str] | None:
    """The notebook cell that is being run and the id of this run of it; None outside a notebook.

    A cell is known by its id, or by its text where the front end sends none.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    parent = getattr(shell, "get_parent", dict)()
    cell = (parent.get("metadata") or {}).get("cellId") or (parent.get("content") or {}).get("code")
    return (cell, parent["header"]["msg_id"]) if cell else None
