"""What to do to which latents where: edits, checked when made, and kept as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelab import files
from saelab.display import facts_html
from saelab.doors import door
from saelab.errors import SaelabError, called, check_count, check_number, is_scalar, unknown
from saelab.interventions.directions import Direction
from saelab.interventions.targets import Target, check_target, maximum, title
from saelab.sae import SAE

POSITIONS = ("all", "prompt", "generated", "last")
FORMAT = "saelab.intervention"


@dataclass(frozen=True)
class Mode:
    """One way to change a latent whose activation is ``a``."""

    title: str  # what it does to a, for a menu
    change: (
        Callable[[float, Tensor], Tensor | float] | None
    )  # (strength, a) -> what is added to a; or it is solved
    sign: str = "="  # between the latent and its strength
    reads: bool = True  # whether a must be known
    unit: str = "activation"  # what the strength counts: a's units, times a, or nothing

    def idle(self, strength: float) -> bool:
        """Whether nothing happens where a is 0."""
        return self.change is not None and not self.change(strength, torch.zeros(()))


MODES = {
    "add": Mode("add to the activation", lambda s, a: s, "+", reads=False),
    "clamp": Mode("set the activation", lambda s, a: s - a),
    "scale": Mode("multiply the activation", lambda s, a: (s - 1.0) * a, "×", unit="times"),
    "cap": Mode("keep the activation at most", lambda s, a: (s - a).clamp(max=0), "≤"),
    "floor": Mode("keep the activation at least", lambda s, a: (s - a).clamp(min=0), "≥"),
    "ablate": Mode("set the activation to 0", lambda s, a: -a, "", unit=""),
    "project": Mode("set the component along it", None, reads=False),
}


@door
@dataclass(frozen=True)
class Edit:
    """One change of one latent. With ``a`` its activation, the output moves by ``(new - a) * W_dec[latent]``.

    Attributes
    ----------
    strength
        In units of the latent's activation, or of its maximum when ``unit`` is that.
    mode
        ``add``: a + strength. ``clamp``: strength. ``scale``: a * strength. ``cap``: strength where a is more.
        ``floor``: strength where a is less. ``ablate``: 0. ``project``: the
        activation vector's component along the decoder row is replaced by strength times that row, whatever
        put it there (several projections together replace their least-squares coefficients).
    latent
        Its id, or a :class:`Direction`; may be left out where a dict names it. Of a direction, ``a`` is the component of
        the activations along it, and ``project`` is ``clamp``.
    positions
        ``all``; ``prompt``; ``generated``: tokens after the prompt; ``last``: the newest token at every step,
        which is the prompt's last and then each generated one; or places in the text, counted from 0 (BOS
        included, padding not), negative ones back from the prompt's end.
    unit
        What strength 1 means, such as the latent's maximum. None is 1.
    when, above
        Only where latent, or direction, ``when`` is more active than ``above``.
    schedule
        Share of the edit that is applied at the 1st, 2nd, … generated token; the last value goes on for ever,
        the first is also the prompt's.
    control
        A seed: write along a random direction of the same length instead of the decoder row. One seed is one direction,
        whatever the latent; :func:`saelab.sweep` and :func:`saelab.steering_success` take another for each latent.

    Examples
    --------
    >>> sl.Edit(8.0, "clamp", 3, positions="generated")
    Edit(strength=8.0, mode='clamp', latent=3, positions='generated', ...)
    """

    strength: float = 0.0
    mode: str = "add"
    latent: int | Direction | None = None
    positions: str | tuple[int, ...] = "all"
    unit: float | None = None
    when: int | Direction | None = None
    above: float = 0.0
    schedule: tuple[float, ...] | None = None
    control: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown("mode", self.mode, MODES)
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("strength", check_number("strength", self.strength))
        put("above", check_number("above", self.above))
        put("positions", _positions(self.positions))
        if self.unit is not None:
            put("unit", check_number("unit", self.unit))
            if self.how.unit != "activation":
                raise SaelabError(
                    f"mode {self.mode!r} has no strength in activations, so relative has no meaning"
                )
        if self.schedule is not None:
            if isinstance(self.schedule, str) or not isinstance(self.schedule, Iterable):
                raise SaelabError(f"schedule is a list of numbers, got {self.schedule!r}")
            put("schedule", tuple(check_number("schedule", s) for s in self.schedule))
            if not self.schedule:
                raise SaelabError("schedule is empty; give at least one number")
        if self.control is not None:
            put("control", check_count("control", self.control, 0))

    @property
    def how(self) -> Mode:
        """What its mode means."""
        return MODES[self.mode]

    @property
    def amount(self) -> float:
        """The strength in units of the latent's activation."""
        return self.strength * (1.0 if self.unit is None else self.unit)

    @property
    def key(self) -> tuple[Target, int | None]:
        """(latent, control): what it writes along."""
        assert self.latent is not None
        return self.latent, self.control

    @property
    def needs_prompt(self) -> bool:
        """Whether it matters where the prompt ends."""
        named = self.positions in ("prompt", "generated", "last")
        back = not isinstance(self.positions, str) and min(self.positions) < 0
        return named or back or self.schedule is not None

    def check_reach(self, prompt: int, length: int) -> None:
        """Refuse a place that no text of ``length`` tokens has, ``prompt`` of which are given.

        Examples
        --------
        >>> sl.Edit(2.0, positions=[9]).check_reach(4, 8)
        Traceback (most recent call last):
        saelab.errors.SaelabError: positions [9] are never reached: the prompt has 4 tokens, and with the new ones ...
        """
        never = (
            []
            if isinstance(self.positions, str)
            else [p for p in self.positions if not -prompt <= p < length]
        )
        if never:
            raise SaelabError(
                f"positions {never} are never reached: the prompt has {prompt} tokens, and with the new ones the model "
                f"reads {length} (the last one it writes is not read)"
            )

    def __str__(self) -> str:
        text = f"{title(self.latent)}: {self.mode}"
        if self.how.unit:
            text += f" {self.strength:g}" + ("" if self.unit is None else f" x {self.unit:g}")
        if self.positions != "all":
            text += f" at {self.positions if isinstance(self.positions, str) else list(self.positions)}"
        if self.when is not None:
            text += f" where {title(self.when)} > {self.above:g}"
        if self.schedule is not None:
            text += ", scheduled"
        return text + (f", random direction {self.control}" if self.control is not None else "")


def _positions(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        if value not in POSITIONS:
            raise unknown("positions", value, (*POSITIONS, "a list of places"))
        return value
    if not isinstance(value, Iterable):
        raise SaelabError(f"positions is one of {', '.join(POSITIONS)} or a list of places, got {value!r}")
    places = tuple(value)
    if not places:
        raise SaelabError("positions is empty: nothing would be changed")
    return tuple(check_count("positions", place, None) for place in places)


@door
@dataclass(frozen=True)
class Intervention:
    """Edits of one SAE's latents, applied in order.

    Of one latent each edit starts from what those before it made: add 2, then scale by 3 takes 1 to 9. What ``when``
    reads, and what a projection finds, is from before all of them.

    Examples
    --------
    >>> with sl.steer(model, sae, {3: 8.0}) as steering:
    ...     logits = model("Once upon a time")
    >>> print(steering.interventions[0][1])
    latent 3: add 8
    """

    edits: tuple[Edit, ...]
    sae: Mapping[str, Any]  # what it is for: architecture, sizes and hook points
    marks: Mapping[int, tuple[float, float]]  # fingerprint of each latent's decoder row

    @classmethod
    def make(cls, sae: SAE, edits: Any, *, relative: Any = None, **common: Any) -> Intervention:
        """Edits in any of the forms a user gives them, checked against ``sae``.

        Parameters
        ----------
        edits
            ``{latent: strength or Edit}``, a list of :class:`Edit`, a list of latents (to ablate), or an
            :class:`Intervention`. A strength may be ``"auto"``: the best that :func:`saelab.calibrate` kept beside
            the index that is ``relative``, with its schedule.
        relative
            Strengths are in units of each latent's maximum: a ``LatentIndex``, or ``{latent: maximum}``, or one
            number per latent.
        common
            Fields of :class:`Edit` for the entries that are plain numbers or latents.

        Raises
        ------
        SaelabError
            For latents out of range, no edits, a maximum that is not known, or another SAE's intervention.

        Examples
        --------
        >>> str(sl.Intervention.make(sae, {3: 2.0}, relative={3: 4.0}))
        'latent 3: add 2 x 4'
        """
        if isinstance(edits, Intervention):
            return edits.check(sae)
        d_sae, parts = sae.config.d_sae, []
        for edit in _listed(_calibrated(edits, relative), common):
            latent = check_target(edit.latent, sae)
            when = None if edit.when is None else check_target(edit.when, sae)
            unit = edit.unit
            if relative is not None and unit is None and edit.how.unit == "activation":
                unit = maximum(relative, latent, d_sae)
            elif relative is not None and edit.how.unit == "times":
                raise SaelabError(
                    f"mode {edit.mode!r} multiplies the activation, so relative has no meaning for it"
                )
            parts.append(replace(edit, latent=latent, when=when, unit=unit))
        if not parts:
            raise SaelabError("there are no edits: give {latent: strength}")
        latents = [e.latent for e in parts if isinstance(e.latent, int)]
        return cls(tuple(parts), _about(sae), {i: _mark(sae, i) for i in latents})

    @property
    def directions(self) -> list[Direction]:
        """The directions that its edits write along or read."""
        every = [t for e in self.edits for t in (e.latent, e.when) if isinstance(t, Direction)]
        return list(dict.fromkeys(every))

    def check(self, sae: SAE) -> Intervention:
        """Itself, if it was made for ``sae``.

        Raises
        ------
        SaelabError
            If the SAE's sizes, hook points or decoder rows are others.

        Examples
        --------
        >>> made = sl.Intervention.make(sae, {3: 2.0})
        >>> made.check(sae) is made
        True
        """
        for key, value in _about(sae).items():
            if self.sae[key] != value:
                raise SaelabError(
                    f"this intervention is for an SAE with {key}={self.sae[key]!r}, not {value!r}"
                )
        for latent, mark in self.marks.items():
            got = _mark(sae, latent)
            size = float(sae.W_dec[latent].detach().norm()) + 1e-12
            if max(abs(a - b) for a, b in zip(got, mark, strict=True)) > 0.02 * size:
                raise SaelabError(
                    f"latent {latent} of this SAE writes another direction than when the intervention was "
                    "made: it is an SAE of the same shape, but not the same"
                )
        return self

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data.

        Examples
        --------
        >>> sl.Intervention.make(sae, {3: 2.0}).to_json()["edits"]
        [{'strength': 2.0, 'mode': 'add', 'latent': 3, 'positions': 'all', 'above': 0.0}]
        """
        return {
            "format": FORMAT,
            "version": 1,
            "sae": dict(self.sae),
            "marks": {str(k): list(v) for k, v in self.marks.items()},
            "edits": [_as_json(e) for e in self.edits],
        }

    @classmethod
    def from_json(cls, value: Any) -> Intervention:
        """From plain JSON data; an unknown key or version is an error.

        Examples
        --------
        >>> made = sl.Intervention.make(sae, {3: 2.0})
        >>> sl.Intervention.from_json(made.to_json()) == made
        True
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise SaelabError(f"this is not an intervention: it lacks format {FORMAT!r}")
        if value.get("version") != 1:
            raise SaelabError(
                f"intervention version {value.get('version')!r} is not known; this saelab reads version 1"
            )
        files.check_form("this intervention", value, _FORM)
        names, parts = [f.name for f in fields(Edit)], []
        for part in value["edits"]:
            for key in part:
                if key not in names:
                    raise unknown("edit key", key, names)
            own = {
                k: Direction.from_json(v)
                for k, v in part.items()
                if k in ("latent", "when") and isinstance(v, dict)
            }
            parts.append(Edit(**{**part, **own}))
        if not parts:
            raise SaelabError("this intervention has no edits")
        marks = {k: tuple(map(float, v)) for k, v in value["marks"].items() if len(v) == 2}
        for i in [e.latent for e in parts if not isinstance(e.latent, Direction)]:
            if str(i) not in marks:
                raise SaelabError(
                    f"this intervention has no mark of latent {i}, by which its SAE is known again"
                )
        return cls(tuple(parts), dict(value["sae"]), {int(k): v for k, v in marks.items()})  # type: ignore[misc]

    def save(self, path: str | Path) -> Path:
        """Write it as a JSON file.

        Examples
        --------
        >>> sl.Intervention.make(sae, {3: 2.0}).save(folder / "push.json").name
        'push.json'
        """
        files.write_json(path, self.to_json(), checked=True)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Intervention:
        """Read what :meth:`save` wrote.

        Examples
        --------
        >>> path = sl.Intervention.make(sae, {3: 2.0}).save(folder / "push.json")
        >>> print(sl.Intervention.load(path))
        latent 3: add 2
        """
        with files.reading(path):
            return cls.from_json(files.read_json(path))

    def __str__(self) -> str:
        return "; ".join(map(str, self.edits))

    def _repr_html_(self) -> str:
        place = f"{self.sae['arch']}, {self.sae['d_sae']:,} latents at {self.sae['hook_in']}"
        edits = [(title(e.latent), str(e)) for e in self.edits]
        return facts_html("Intervention", [("SAE", place), *edits])


_FORM = {
    "sae": {"arch": str, "d_in": int, "d_out": (int, type(None)), "d_sae": int, "hook_in": str, "hook_out": str},
    "marks": {str: [float]}, "edits": [{str: object}],
}  # fmt: skip


def _about(sae: SAE) -> dict[str, Any]:
    """What an intervention must find again in an SAE."""
    names = ("arch", "d_in", "d_out", "d_sae", "hook_in", "hook_out")
    return {name: getattr(sae.config, name) for name in names}


def _as_json(edit: Edit) -> dict[str, Any]:
    given = {f.name: getattr(edit, f.name) for f in fields(edit)}
    return {k: v.to_json() if isinstance(v, Direction) else v for k, v in given.items() if v is not None}


def _mark(sae: SAE, latent: int) -> tuple[float, float]:
    row = sae.W_dec[latent].detach().double().cpu()  # (d_out)
    place = torch.arange(len(row), dtype=torch.double)
    return round(float(row @ place.cos()), 6), round(float(row @ place.sin()), 6)


def _listed(edits: Any, common: dict[str, Any]) -> list[Edit]:
    """All forms as a list; a latent of the wrong kind is found out later."""
    if isinstance(edits, Edit):
        return [edits]
    if isinstance(edits, (str, bytes)) or is_scalar(edits) or not isinstance(edits, Iterable):
        raise SaelabError(f"edits is {{latent: strength}} or a list, got {called(edits)}")
    listed = [(e.latent, e) if isinstance(e, Edit) else (e, None) for e in edits]
    pairs: Iterable[tuple[Any, Any]] = edits.items() if isinstance(edits, Mapping) else listed
    parts, ablates = [], common.get("mode") == "ablate"
    for latent, value in pairs:
        if isinstance(value, Edit):
            if value.latent not in (None, latent):
                raise SaelabError(f"the edit under {title(latent)} says {title(value.latent)}")
            parts.append(replace(value, latent=latent))
        elif value is None and not ablates:
            raise SaelabError(f"{title(latent)} has no strength: give {{latent: strength}}, or mode='ablate'")
        else:  # ablating needs no strength, so {7: True} and {7: None} are as good as any number
            parts.append(Edit(0.0 if ablates or value is None else value, latent=latent, **common))
    return parts


def _calibrated(edits: Any, relative: Any) -> Any:
    """``edits`` with what :func:`saelab.calibrate` found in place of each ``"auto"``."""
    if not isinstance(edits, Mapping) or not any(isinstance(v, str) for v in edits.values()):
        return edits
    found: Any = getattr(relative, "kept", None)
    for latent, value in edits.items():
        if isinstance(value, str) and (value != "auto" or found is None):
            raise SaelabError(
                f"{title(latent)}: a strength is a number, or 'auto' with an index as relative; got {value!r}"
            )
        if isinstance(value, str) and isinstance(latent, Direction):
            raise SaelabError(
                f"direction {latent}: 'auto' is kept of latents; take .best of what calibrate gives"
            )
    return {i: Edit(**found.calibrated(i)) if isinstance(v, str) else v for i, v in edits.items()}
