"""SteeringPanel: write with a latent turned up or down, beside the model as it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, unknown
from saelab.experiments import Comparison, compare, sweep
from saelab.identity import check_pair, meet
from saelab.index import LatentIndex
from saelab.interventions import MODES, POSITIONS, Direction, Intervention
from saelab.interventions.targets import Target, check_target, label, title
from saelab.models import HookedModel
from saelab.widgets.base import Number, Widget
from saelab.widgets.effect_map import COOL
from saelab.widgets.page import plain
from saelab.widgets.payload import top_tokens
from saelab.widgets.tokens import HEAT, MONO, TokenText, escape, frame

_INTERVAL = 0.12  # seconds between updates of the view: a notebook server drops messages that come faster


@door
class SteeringPanel(Widget):
    """Sliders for latents, a prompt, and two texts: the model as it is, and steered.

    Generation runs in its own thread, so that the text streams in, can be cancelled, and does not wait for a
    cell that is running; every step takes the model's lock.

    Parameters
    ----------
    index
        A LatentIndex: what to steer, and labels, the token each latent fires on most, and sensible ranges of
        the sliders.
    model, sae
        What to steer, without an index or for one that was opened without them.
    edits
        Latents and directions to begin with: ``{latent: strength}``, or a list of them. ``"auto"`` is the best strength that
        :func:`saelab.calibrate` kept beside the index.
    state
        Traits to begin with: ``prompt``, ``mode``, ``positions``, ``max_new_tokens``, ``temperature``,
        ``seed``, ``factors``.

    Attributes
    ----------
    edits
        ``[{"latent": …, "strength": …}, …]``; the sliders. A direction stands there by its name.
    schedule
        What share of the strengths each new token gets, as in :class:`saelab.Edit`; None: all. ``"auto"`` brings that
        of the calibration.
    factors
        What :meth:`sweep` multiplies each latent's strength by.
    running
        Whether text is being written.
    baseline, steered
        What was written: tokens, and the positions that differ.
    result
        The :class:`saelab.interventions.Comparison` of the last run that ended, or None.

    Examples
    --------
    >>> panel = sl.steering_panel(index, edits={latent: 8.0}, prompt="Once upon", max_new_tokens=5)
    >>> panel.run(wait=True)
    >>> panel.result.steered.ids == sl.generate(model, sae, "Once upon", {latent: 8.0}, max_new_tokens=5,
    ...     temperature=0.8).ids
    True
    """

    prompt = traitlets.Unicode("The").tag(sync=True)
    edits = traitlets.List(traitlets.Dict()).tag(sync=True)
    mode = traitlets.Enum(tuple(MODES), "add").tag(sync=True)
    positions = traitlets.Enum(POSITIONS, "all").tag(sync=True)
    max_new_tokens = traitlets.Int(40).tag(sync=True)
    factors = traitlets.List(Number(), [0.0, 0.5, 1.0, 2.0, 4.0]).tag(sync=True)
    temperature = Number(0.8).tag(sync=True)
    schedule = traitlets.List(Number(), allow_none=True, default_value=None).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    # set by Python alone
    modes = traitlets.Dict(
        {name: {"title": m.title, "unit": m.unit, "sign": m.sign} for name, m in MODES.items()},
        read_only=True,
    ).tag(sync=True)
    d_sae = traitlets.Int(0).tag(sync=True)
    directions = traitlets.List(traitlets.Unicode(), help="names of the directions that were given").tag(
        sync=True
    )
    running = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    baseline = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    steered = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    said = traitlets.Dict(help="the settings of the texts shown").tag(sync=True)
    swept = traitlets.List(traitlets.Dict(), help="rows of the last sweep").tag(sync=True)
    about = traitlets.Dict(help="latent -> label, token, max, limit (strongest inside the guard)").tag(
        sync=True
    )
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        index: LatentIndex | None = None,
        *old_order: None,
        model: HookedModel | None = None,
        sae: Any = None,
        edits: Mapping[Any, float | str] | Sequence[Any] = (),
        **state: Any,
    ):
        self._stop, self._thread = threading.Event(), None
        if old_order or (index is not None and not isinstance(index, LatentIndex)):
            raise SaelabError(
                "the index comes first, and model and SAE have names: write steering_panel(index), or "
                f"steering_panel(model=…, sae=…) without one; got {type(index).__name__}"
            )
        model = index.model if model is None and index is not None else model
        sae = index.sae if sae is None and index is not None else sae
        if model is None or sae is None:
            raise SaelabError("steering needs the model and the SAE: give model= and sae=")
        check_pair(model, sae)  # that they are what they are called
        mismatch = meet(index, model, sae)
        self.result: Comparison | None = None
        self._swept: list[pd.DataFrame] = []
        self._directions: dict[str, Direction] = {}
        chosen = edits.items() if isinstance(edits, Mapping) else ((i, None) for i in edits)
        known = [(check_target(i, sae), s) for i, s in chosen]
        mismatch += meet(model, *(i for i, _ in known if isinstance(i, Direction)))
        for name, allowed in (("mode", MODES), ("positions", POSITIONS)):
            if name in state and state[name] not in allowed:
                raise unknown(name, state[name], allowed)
        super().__init__(d_sae=sae.config.d_sae, **state)
        self._held = (model, sae, index)
        self._say(mismatch)
        for latent, strength in known:
            self.add(latent, strength)

    # -------------------------------------------------------------------------------------------- latents

    def methods(self) -> dict[str, Any]:
        return {"add": self.add, "run": self.run, "sweep": self.sweep, "cancel": self.cancel}

    def add(self, latent: int | str | Direction, strength: float | str | None = None) -> None:
        """Add a slider of a latent or a direction, or of a direction that was there before by its name.

        Without a strength it begins at the usual maximum, with ``"auto"`` at the best that :func:`saelab.calibrate`
        kept beside the index.

        Examples
        --------
        >>> panel = sl.steering_panel(index)
        >>> panel.add(latent, 4.0)
        >>> panel.edits == [{"latent": latent, "strength": 4.0}]
        True
        """
        target = self._target(latent)
        name = label(target)
        if any(e["latent"] == name for e in self.edits):
            return
        if isinstance(strength, str):
            (edit,) = Intervention.make(self._source[1], {target: strength}, relative=self._source[2]).edits
            strength = edit.amount
            self.schedule = None if edit.schedule is None else list(edit.schedule)
        about = self._about(target)
        self.about = {**self.about, str(name): about}
        value = about["max"] if strength is None else float(strength)
        self.edits = [*self.edits, {"latent": name, "strength": float(f"{value:.3g}")}]

    def _target(self, given: Any) -> Target:
        """A latent, or a direction, which its name stands for from now on."""
        if isinstance(given, str):
            if given not in self._directions:
                raise unknown("direction", given, self._directions)
            return self._directions[given]
        target = check_target(given, self._source[1])
        if isinstance(target, Direction):
            if self._directions.setdefault(target.name, target) != target:
                raise SaelabError(f"another direction is called {target.name!r}; give this one another name")
            self.directions = list(self._directions)
        return target

    def _about(self, latent: Target) -> dict[str, Any]:
        index = self._source[2]
        if isinstance(latent, Direction):
            return {"label": latent.made, "token": None, "max": float(f"{latent.maximum:.3g}"), "limit": None}
        if index is None:
            return {"label": "", "token": None, "max": 5.0, "limit": None}
        limit = index.kept.all()[0].get("steer_limit")
        largest = float(index.latent_stats(latent)["max"])
        (token,) = top_tokens(index, [latent])
        return {
            "label": index.label(latent),
            "token": token,
            "max": float(f"{largest or 5.0:.3g}"),
            "limit": None
            if limit is None or limit[latent] != limit[latent]
            else float(limit[latent] * largest),
        }

    # --------------------------------------------------------------------------------------------- running

    def run(self, *, wait: bool = False) -> None:
        """Write both texts with the present settings; returns at once unless ``wait``.

        Examples
        --------
        >>> panel = sl.steering_panel(index, edits=[latent], max_new_tokens=3)
        >>> panel.run(wait=True)
        >>> panel.running
        False
        """
        self._start(self._compare, wait, baseline=None, steered=None, said={})

    def sweep(self, *, wait: bool = False) -> None:
        """Write with each latent alone at each of ``factors`` times its strength; see :func:`saelab.sweep`.

        The rows come into the panel as they are made; ``to_frame("sweep")`` gives them. Returns at once unless
        ``wait``.

        Examples
        --------
        >>> panel = sl.steering_panel(index, edits={latent: 4.0}, factors=[0.0, 1.0], max_new_tokens=3)
        >>> panel.sweep(wait=True)
        >>> panel.to_frame("sweep")["strength"].tolist()
        [0.0, 4.0]
        """
        if not MODES[self.mode].unit:
            raise SaelabError(f"mode {self.mode!r} has no strength to sweep over; choose another")
        if not self.factors:
            raise SaelabError("there are no factors to multiply the strengths by; give some, such as 0, 1, 2")
        self._start(partial(self._sweep, list(self.factors)), wait, swept=[])

    def cancel(self) -> None:
        """Stop after the token that is being written; what was written stays.

        Examples
        --------
        >>> sl.steering_panel(index).cancel()
        """
        self._stop.set()

    def _start(self, work: Callable[..., None], wait: bool, **emptied: Any) -> None:
        """Run ``work(model, sae, edits, job)`` in a thread; the settings are checked before."""
        names = ("prompt", "mode", "positions", "schedule", "max_new_tokens", "temperature", "seed")
        job, edits = {name: getattr(self, name) for name in names}, {}
        if not self.prompt:
            raise SaelabError("the prompt is empty; write at least one character")
        if not self.edits:
            raise SaelabError("no latent to steer with; add one by its number")
        for e in self.edits:
            latent = self._target(e["latent"])
            if latent in edits:
                raise SaelabError(f"{title(latent)} is there twice")
            edits[latent] = float(e["strength"])
        if self.running:
            raise SaelabError("already writing; cancel first")
        model, sae, _ = self._source
        self._stop.clear()
        self.clear_error()
        with self.hold_sync():
            self.running, self.status = True, "waiting for the model"
            for name, value in emptied.items():
                setattr(self, name, value)

        def guarded() -> None:
            try:
                work(model, sae, edits, job)
            except Exception as error:
                self.status = ""
                self.show_error(error)
            finally:
                self.running = False

        self._thread = threading.Thread(target=guarded, name="saelab-steering", daemon=True)
        self._thread.start()
        if wait:
            self._thread.join()

    def _compare(self, model: HookedModel, sae: Any, edits: dict[Target, float], job: dict[str, Any]) -> None:
        result = self.result = compare(
            model, sae, edits=edits, on_baseline=self._stream("baseline", model),
            on_token=self._stream("steered", model), **job,
        )  # fmt: skip
        left, right = result.differences()
        cancelled = result.baseline.cancelled or result.steered.cancelled
        with self.hold_sync():
            self.baseline = _written(model, result.baseline.ids, left)
            self.steered = _written(model, result.steered.ids, right)
            self.said = plain({**job, "edits": [(label(t), s) for t, s in edits.items()]})
            self.status = "cancelled" if cancelled else ""

    def _stream(self, side: str, model: HookedModel) -> Callable[[int, list[list[int]]], bool]:
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

    def _sweep(
        self,
        factors: list[float],
        model: HookedModel,
        sae: Any,
        edits: dict[Target, float],
        job: dict[str, Any],
    ) -> None:
        prompt, runs = job.pop("prompt"), [(i, f, f * s) for i, s in edits.items() for f in factors]
        self._swept = []
        for number, (latent, factor, strength) in enumerate(runs, 1):
            self.status = f"sweep: {number} of {len(runs)}"
            made = sweep(
                model, sae, prompt, [latent], [strength], progress=False,
                on_token=lambda step, ids: not self._stop.is_set(), **job,
            ).frame.assign(factor=factor)  # fmt: skip
            if self._stop.is_set():
                self.status = f"cancelled after {number - 1} of {len(runs)}"
                return
            self._swept.append(made)
            columns = ["latent", "strength", "factor", "perplexity", "activation", "repetition", "text"]
            self.swept = [*self.swept, plain(made[columns].iloc[0].to_dict())]
        self.status = ""

    # ---------------------------------------------------------------------------------------------- export

    def to_frame(self, what: str = "run") -> pd.DataFrame:
        """``run``: one row per new token of the last run: side, sample, step, id, token, logprob, change, differs.
        ``sweep``: the rows of the last sweep, as :func:`saelab.sweep` gives them, and their ``factor``.

        Examples
        --------
        >>> panel = sl.steering_panel(index, edits={latent: 4.0}, max_new_tokens=3)
        >>> panel.run(wait=True)
        >>> panel.to_frame()["side"].unique().tolist()
        ['baseline', 'steered']
        """
        if what not in ("run", "sweep"):
            raise unknown("table", what, ("run", "sweep"))
        if what == "sweep":
            if not self._swept:
                raise SaelabError("nothing was swept yet; press Sweep, or call sweep(wait=True)")
            return pd.concat(self._swept, ignore_index=True)
        if self.result is None:
            raise SaelabError("nothing was written yet; press Run, or call run(wait=True)")
        return self.result.frame

    def release(self) -> None:
        super().release()
        self.cancel()
        self.result = None

    def export_state(self, **options: Any) -> dict[str, Any]:
        return {**self.state(), "read_only": True, "running": False, "status": "", "error": {}}

    def title(self) -> str:
        latents = ", ".join(
            e["latent"] if isinstance(e["latent"], str) else f"latent {e['latent']}" for e in self.edits
        )
        return f"Steering with {latents}" if latents else "Steering"

    def fallback(self) -> str:
        done = self.said or {
            name: getattr(self, name) for name in ("mode", "positions", "temperature", "seed")
        }
        how = ", ".join(
            f"{name} {done[name]}" for name in ("mode", "positions", "temperature", "seed") if name in done
        )
        sign = MODES[str(done.get("mode", self.mode))].sign
        now = self.said.get("edits") or [(e["latent"], e["strength"]) for e in self.edits]
        strengths = ", ".join(f"{name} {sign} {value:.3g}" if sign else f"{name} off" for name, value in now)
        strengths = strengths or "no latent: add one by its number"
        head = f"<b>{escape(self.title())}</b>: {escape(strengths)} ({escape(how)})"
        if self.baseline is None or self.steered is None:
            return frame(head, "Nothing was written yet.")
        prompt = f'<span style="opacity:.6">{escape(self.said.get("prompt", self.prompt))}</span>'
        texts = [
            f'<i>{name}</i> <bdi style="display:block;{MONO}">{prompt}{_marked(text, color)}</bdi>'
            for name, text, color in (("as it is", self.baseline, COOL), ("steered", self.steered, HEAT))
        ]
        return frame(head, *texts)


def _written(model: HookedModel, ids: Sequence[int], differs: Sequence[bool]) -> dict[str, Any]:
    text = TokenText.of_model(model, ids).to_dict()
    return {**text, "differs": [i for i, d in enumerate(differs) if d]}


def _marked(text: Mapping[str, Any], color: tuple[int, int, int]) -> str:
    differs, sizes = set(text["differs"]), text.get("size") or [1] * len(text["text"])
    out, start = [], 0
    for piece, size in zip(text["text"], sizes, strict=True):
        other = any(i in differs for i in range(start, start + size))
        style = f' style="background-color:rgba{(*color, 0.4)}"' if other else ""
        out.append(f"<span{style}>{escape(piece)}</span>")
        start += size
    return "".join(out)
