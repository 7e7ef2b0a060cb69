"""What all widgets share: state checked on the way in, requests from the view, errors shown in the view, a
script-free fallback, and export to one offline HTML file.

A widget never computes: it shows an object of the library. JupyterLab runs callbacks in another thread while
a cell runs, so everything a view can ask for goes through one lock of the widget, and whatever touches a
model goes through that model's lock (inside the library functions that are called).
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from ipywidgets import DOMWidget

from saelab.errors import SaelabError, unknown

STATIC = Path(__file__).parents[1] / "static"
_PLUMBING = frozenset(DOMWidget.class_trait_names()) | {"_esm", "_css", "_anywidget_id"}


@cache
def static_text(name: str) -> str:
    """Text of a bundled file."""
    return (STATIC / name).read_text(encoding="utf-8")


def asset(name: str) -> str | Path:
    """A bundle for ``_esm`` or ``_css``: its text, because anywidget keeps what was made from a path alive.

    With ``ANYWIDGET_HMR=1`` it is the path, so that an edit shows at once.
    """
    return STATIC / name if os.environ.get("ANYWIDGET_HMR") == "1" else static_text(name)


class Widget(anywidget.AnyWidget):
    """Base of the widgets; see the module's docstring."""

    module: ClassVar[str] = ""  # name of the bundle in saelab/static
    error = traitlets.Dict(help="what went wrong last: message, traceback; empty when all is well").tag(
        sync=True
    )

    def __init__(self, **state: Any):
        allowed = sorted(set(self.trait_names()) - _PLUMBING - {"error"})
        for name in state:
            if name not in allowed and name not in _PLUMBING:
                raise unknown(f"argument of {type(self).__name__}", name, allowed)
        self._lock = threading.RLock()
        self._source: Any = None  # the library object shown; dropped by close()
        super().__init__(**state)
        self.on_msg(self._receive)

    # --------------------------------------------------------------------------------------- requests

    def methods(self) -> Mapping[str, Callable[..., Any]]:
        """What the view may call, by name; results are plain JSON."""
        return {}

    def _receive(self, _: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict) or "method" not in content:
            return
        answer: dict[str, Any] = {"id": content.get("id")}
        try:
            method = self.methods().get(content["method"])
            if method is None:
                raise unknown("request", content["method"], self.methods())
            with self._lock:
                self.clear_error()  # first: a thread that the request starts may fail before it returns
                answer["result"] = method(**(content.get("params") or {}))
        except Exception as error:
            answer["error"] = str(error) or type(error).__name__
            self.show_error(error)
        self.send(answer)

    def show_error(self, error: BaseException) -> None:
        """Show an exception in the widget, with its traceback on demand."""
        lines = "" if isinstance(error, SaelabError) else "".join(traceback.format_exception(error))
        name = "" if isinstance(error, SaelabError) else f"{type(error).__name__}: "
        self.error = {"message": f"{name}{error}", "traceback": lines}

    def clear_error(self) -> None:
        """Take the message away."""
        if self.error:
            self.error = {}

    # ------------------------------------------------------------------------------------------ export

    def state(self) -> dict[str, Any]:
        """The traits that make the picture, as the view gets them."""
        return {k: v for k, v in self.get_state().items() if k not in _PLUMBING and not k.startswith("_")}

    def replies(self, **options: Any) -> dict[str, dict[str, Any]]:
        """Answers a saved page needs without Python: ``request_key(method, params)`` -> traits to set."""
        if options:
            raise unknown(
                f"export option of {type(self).__name__}", next(iter(options)), self.export_options()
            )
        return {}

    def export_options(self) -> tuple[str, ...]:
        """Names that :meth:`replies` takes."""
        return ()

    def export_state(self, **options: Any) -> dict[str, Any]:
        """The state a saved page begins with."""
        return self.state()

    def fallback(self) -> str:
        """The main content as HTML without scripts: spans with inline styles, which every front end keeps."""
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
        """Title of an exported page."""
        return type(self).__name__

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/html": self.fallback(), "text/plain": repr(self)}, metadata

    def close(self) -> None:
        """Close the view and let go of the model, index or graph behind it."""
        super().close()
        self._source = None
