"""SteeringPanel: write with a latent turned up or down, beside the model as it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from saelab.errors import SaelabError, check_latent, check_pair, unknown
from saelab.widgets.base import Widget
from saelab.widgets.page import plain
from saelab.widgets.tokens import MONO, TokenText, escape, frame

if TYPE_CHECKING:
    import pandas as pd

    from saelab.interventions.generation import Comparison

MODES = ("add", "clamp", "scale", "ablate", "project")
POSITIONS = ("all", "prompt", "generated", "last")
_INTERVAL = 0.12  # seconds between updates of the view: a notebook server drops messages that come faster


class SteeringPanel(Widget):
    """Sliders for latents, a prompt, and two texts: the model as it is, and steered.

    Generation runs in its own thread, so that the text streams in, can be cancelled, and does not wait for a
    cell that is running; every step takes the model's lock.

    Parameters
    ----------
    model, sae
        What to steer, and whose latents.
    index
        A LatentIndex: gives labels, the token each latent fires on most, and sensible ranges of the sliders.
    edits
        Latents to begin with: ``{latent: strength}``, or a list of latents.
    state
        Traits to begin with: ``prompt``, ``mode``, ``positions``, ``max_new_tokens``, ``temperature``,
        ``seed``, ``factors``.

    Attributes
    ----------
    edits
        ``[{"latent": …, "strength": …}, …]``; the sliders.
    factors
        What :meth:`sweep` multiplies each latent's strength by.
    running
        Whether text is being written.
    baseline, steered
        What was written: tokens, and the positions that differ.
    result
        The :class:`saelab.interventions.generation.Comparison` of the last run that ended, or None.

    Examples
    --------
    >>> panel = sl.steering_panel(model, sae, index, edits={123: 8.0}, prompt="Once upon")   # doctest: +SKIP
    """

    prompt = traitlets.Unicode("The").tag(sync=True)
    edits = traitlets.List(traitlets.Dict()).tag(sync=True)
    mode = traitlets.Enum(MODES, "add").tag(sync=True)
    positions = traitlets.Enum(POSITIONS, "all").tag(sync=True)
    max_new_tokens = traitlets.Int(40).tag(sync=True)
    factors = traitlets.List(traitlets.Float(), [0.0, 0.5, 1.0, 2.0, 4.0]).tag(sync=True)
    temperature = traitlets.Float(0.8).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    # set by Python alone
    d_sae = traitlets.Int(0).tag(sync=True)
    running = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    baseline = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    steered = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    said = traitlets.Dict(help="the settings of the texts shown").tag(sync=True)
    swept = traitlets.List(traitlets.Dict(), help="rows of the last sweep").tag(sync=True)
    about = traitlets.Dict(help="latent -> label, token, max").tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        model: Any,
        sae: Any,
        index: Any = None,
        *,
        edits: Mapping[int, float] | Sequence[int] = (),
        **state: Any,
    ):
        self._stop, self._thread = threading.Event(), None
        check_pair(model, sae)
        self.result: Comparison | None = None
        self._swept: list[pd.DataFrame] = []
        chosen = edits.items() if isinstance(edits, Mapping) else ((i, None) for i in edits)
        known = [(check_latent(i, sae.config.d_sae), s) for i, s in chosen]
        for name, allowed in (("mode", MODES), ("positions", POSITIONS)):
            if name in state and state[name] not in allowed:
                raise unknown(name, state[name], allowed)
        super().__init__(d_sae=sae.config.d_sae, **state)
        self._held = (model, sae, index)
        for latent, strength in known:
            self.add(latent, strength)

    # -------------------------------------------------------------------------------------------- latents

    def methods(self) -> dict[str, Any]:
        return {"add": self.add, "run": self.run, "sweep": self.sweep, "cancel": self.cancel}

    def add(self, latent: int, strength: float | None = None) -> None:
        """Add a slider; without a strength it begins at the latent's usual maximum."""
        latent = check_latent(latent, self.d_sae)
        if any(e["latent"] == latent for e in self.edits):
            return
        found = self._about(latent)
        self.about = {**self.about, str(latent): found}
        value = found["max"] if strength is None else float(strength)
        self.edits = [*self.edits, {"latent": latent, "strength": float(f"{value:.3g}")}]

    def _about(self, latent: int) -> dict[str, Any]:
        index = self._source[2]
        if index is None:
            return {"label": "", "token": None, "max": 5.0}
        from saelab.widgets.payload import top_tokens

        largest = float(index.latent_stats(latent)["max"])
        (token,) = top_tokens(index, [latent])
        return {"label": index.label(latent), "token": token, "max": float(f"{largest or 5.0:.3g}")}

    # --------------------------------------------------------------------------------------------- running

    def run(self, *, wait: bool = False) -> None:
        """Write both texts with the present settings; returns at once unless ``wait``."""
        job = self._job()
        with self.hold_sync():
            source = self._begin()
            self.baseline, self.steered, self.said = None, None, {}
        self._start(self._work, job, source, wait)

    def sweep(self, *, wait: bool = False) -> None:
        """Write with each latent alone at each of ``factors`` times its strength; see :func:`saelab.sweep`.

        The rows come into the panel as they are made; ``to_frame("sweep")`` gives them. Returns at once unless
        ``wait``.
        """
        job = self._job()
        if job["mode"] == "ablate":
            raise SaelabError("mode 'ablate' has no strength to sweep over; choose another")
        if not self.factors:
            raise SaelabError("there are no factors to multiply the strengths by; give some, such as 0, 1, 2")
        job["factors"] = list(self.factors)
        with self.hold_sync():
            source = self._begin()
            self.swept = []
        self._start(self._sweep, job, source, wait)

    def _begin(self) -> tuple[Any, Any]:
        if self.running:
            raise SaelabError("already writing; cancel first")
        model, sae, _ = self._source
        self._stop.clear()
        self.clear_error()
        self.running, self.status = True, "waiting for the model"
        return model, sae

    def _start(self, work: Any, job: dict[str, Any], source: tuple[Any, Any], wait: bool) -> None:
        self._thread = threading.Thread(
            target=self._guarded, args=(work, job, *source), name="saelab-steering", daemon=True
        )
        self._thread.start()
        if wait:
            self._thread.join()

    def _guarded(self, work: Any, job: dict[str, Any], model: Any, sae: Any) -> None:
        try:
            work(job, model, sae)
        except Exception as error:
            self.status = ""
            self.show_error(error)
        finally:
            self.running = False

    def cancel(self) -> None:
        """Stop after the token that is being written; what was written stays."""
        self._stop.set()

    def _job(self) -> dict[str, Any]:
        """The settings, checked before a thread is started."""
        if not self.prompt:
            raise SaelabError("the prompt is empty; write at least one character")
        if not self.edits:
            raise SaelabError("no latent to steer with; add one by its number")
        edits: dict[int, float] = {}
        for e in self.edits:
            latent = check_latent(e["latent"], self.d_sae)
            if latent in edits:
                raise SaelabError(f"latent {latent} is there twice")
            edits[latent] = float(e["strength"])
        return {
            "prompt": self.prompt, "edits": edits, "mode": self.mode, "positions": self.positions,
            "max_new_tokens": self.max_new_tokens, "temperature": self.temperature, "seed": self.seed,
        }  # fmt: skip

    def _work(self, job: dict[str, Any], model: Any, sae: Any) -> None:
        from saelab.interventions.generation import compare

        options = {k: v for k, v in job.items() if k not in ("prompt", "edits")}
        self.result = compare(
            model, sae, job["prompt"], job["edits"], on_baseline=self._stream("baseline", model),
            on_token=self._stream("steered", model), **options,
        )  # fmt: skip
        self._finish(self.result, job, model)

    def _sweep(self, job: dict[str, Any], model: Any, sae: Any) -> None:
        from saelab.interventions.sweeps import sweep

        options = {k: v for k, v in job.items() if k not in ("prompt", "edits", "factors")}
        runs = [(latent, f, f * s) for latent, s in job["edits"].items() for f in job["factors"]]
        self._swept = []
        for number, (latent, factor, strength) in enumerate(runs, 1):
            self.status = f"sweep: {number} of {len(runs)}"
            made = sweep(
                model, sae, job["prompt"], [latent], [strength], progress=False,
                on_token=lambda step, ids: not self._stop.is_set(), **options,
            )  # fmt: skip
            if self._stop.is_set():
                self.status = f"cancelled after {number - 1} of {len(runs)}"
                return
            self._swept.append(made.assign(factor=factor))
            columns = ["latent", "strength", "factor", "perplexity", "activation", "repetition", "text"]
            self.swept = [*self.swept, plain(made.assign(factor=factor)[columns].iloc[0].to_dict())]
        self.status = ""

    def _stream(self, side: str, model: Any) -> Any:
        name, last = "as it is" if side == "baseline" else "steered", 0.0

        def on_token(step: int, ids: list[list[int]]) -> bool:
            nonlocal last
            if self._stop.is_set():
                return False
            now = time.monotonic()
            if now - last > _INTERVAL:
                last = now
                with self.hold_sync():
                    self.status = f"{name}: token {step + 1} of {self.max_new_tokens}"
                    setattr(self, side, _written(model, ids[0], []))
            return True

        return on_token

    def _finish(self, result: Comparison, job: dict[str, Any], model: Any) -> None:
        left, right = result.differences()
        cancelled = result.baseline.cancelled or result.steered.cancelled
        with self.hold_sync():
            self.baseline = _written(model, result.baseline.ids, left)
            self.steered = _written(model, result.steered.ids, right)
            self.said = plain({**job, "edits": [[k, v] for k, v in job["edits"].items()]})
            self.status = "cancelled" if cancelled else ""

    # ---------------------------------------------------------------------------------------------- export

    def to_frame(self, what: str = "run") -> pd.DataFrame:
        """``run``: one row per new token of the last run: side, sample, step, id, token, logprob, differs.
        ``sweep``: the rows of the last sweep, as :func:`saelab.sweep` gives them, and their ``factor``."""
        if what not in ("run", "sweep"):
            raise unknown("table", what, ("run", "sweep"))
        if what == "sweep":
            import pandas as pd

            if not self._swept:
                raise SaelabError("nothing was swept yet; press Sweep, or call sweep(wait=True)")
            return pd.concat(self._swept, ignore_index=True)
        if self.result is None:
            raise SaelabError("nothing was written yet; press Run, or call run(wait=True)")
        return self.result.to_frame()

    def release(self) -> None:
        super().release()
        self.cancel()
        self.result = None

    def export_state(self, **options: Any) -> dict[str, Any]:
        return {**self.state(), "read_only": True, "running": False, "status": "", "error": {}}

    def title(self) -> str:
        return (
            "Steering with " + ", ".join(f"latent {e['latent']}" for e in self.edits)
            if self.edits
            else "Steering"
        )

    def fallback(self) -> str:
        head = f"<b>{escape(self.title())}</b> ({escape(self.mode)})"
        if self.baseline is None or self.steered is None:
            return frame(head, "Nothing was written yet.")
        prompt = f'<span style="opacity:.6">{escape(self.said.get("prompt", self.prompt))}</span>'
        texts = [
            f'<i>{name}</i> <bdi style="display:block;{MONO}">{prompt}{_marked(text)}</bdi>'
            for name, text in (("as it is", self.baseline), ("steered", self.steered))
        ]
        return frame(head, *texts)


def _written(model: Any, ids: Sequence[int], differs: Sequence[bool]) -> dict[str, Any]:
    text = TokenText.of_model(model, ids).to_dict()
    return {**text, "differs": [i for i, d in enumerate(differs) if d]}


def _marked(text: Mapping[str, Any]) -> str:
    differs, sizes = set(text["differs"]), text.get("size") or [1] * len(text["text"])
    out, start = [], 0
    for piece, size in zip(text["text"], sizes, strict=True):
        other = any(i in differs for i in range(start, start + size))
        style = ' style="background-color:rgba(245,147,33,.35)"' if other else ""
        out.append(f"<span{style}>{escape(piece)}</span>")
        start += size
    return "".join(out)
