"""What an SAE is, apart from its weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from saelab.doors import door
from saelab.errors import SaelabError, called, check_choice, check_count, check_dtype

NORMALIZE = ("none", "layer_norm", "constant_norm", "scale")
PER_ROW = ("layer_norm", "constant_norm")  # each row by its own size: no weights can do that
INPUT_BIAS = ("decoder", "none", "own")


# the least that each whole number of a config, a recipe and a run may be; those that are None are not looked at
LEAST = {
    "d_in": 1, "d_sae": 1, "d_out": 1, "k": 1, "context": 1, "tokens": 1, "batch": 1, "buffer": 1, "epochs": 1, "seed": 0,
    "aux_k": 1, "dead_after": 1,
}  # fmt: skip


def check_counts(settings: Any, names: Iterable[str]) -> None:
    """Refuse whole numbers out of range, and set the others as int (also of a frozen dataclass)."""
    for name in names:
        if (value := getattr(settings, name)) is not None:
            object.__setattr__(settings, name, check_count(name, value, LEAST[name]))


# a name, or several that are joined when the config is made
if TYPE_CHECKING:
    Joined: TypeAlias = str
else:
    Joined = Any


class HookPoints(tuple[str, ...]):
    """The hook points an SAE reads or writes: one, or several for a crosscoder. Prints as ``a+b``, as in files."""

    @classmethod
    def of(cls, names: str | Iterable[str]) -> HookPoints:
        """From a name, from names, or from ``a+b``."""
        names = names.split("+") if isinstance(names, str) else names
        if not isinstance(names, (tuple, list)) or not all(isinstance(n, str) for n in names):
            raise SaelabError(f"a hook point is a name or a list of names, got {called(names)}")
        found = cls(names)
        if not found:
            raise SaelabError("hook is empty: name at least one hook point")
        return found

    def __str__(self) -> str:
        return "+".join(self)


@door
@dataclass(frozen=True)
class SAEConfig:
    """Everything needed to run an SAE as it was trained; saved beside the weights.

    Raises
    ------
    SaelabError
        On construction, if sizes do not fit together or a name is unknown.

    Examples
    --------
    >>> config = sl.SAEConfig("topk", d_in=16, d_sae=64, k=4)
    >>> config.d_out, config.normalize
    (16, 'none')
    """

    arch: str
    d_in: int
    d_sae: int
    k: int | None = None  # latents kept per row; only for architectures that fix it
    d_out: int | None = None  # None: d_in
    hook_in: Joined = ""  # where the input is read; a crosscoder reads several: a tuple, kept joined by "+"
    hook_out: Joined = ""  # where the reconstruction belongs; differs from hook_in for a transcoder
    widths: tuple[int, ...] | None = None  # of a crosscoder's hook points; they add up to d_in
    model: str = ""
    # layer_norm, constant_norm (length sqrt(d_in)): per row, undone on output; scale: x * scale
    normalize: str = "none"
    scale: float | tuple[float, ...] = 1.0  # a crosscoder may have one per hook point
    scale_out: float | None = None  # of a transcoder's target; None: as the input's
    input_bias: str = "decoder"  # what is subtracted from the input: b_dec, nothing, or a vector of its own
    bos: bool = True  # whether rows began with BOS in training; every use of the SAE follows it
    context: int | None = None  # tokens per row in training
    dtype: str = "float32"
    split_bias: bool = False  # in half precision x W_enc is rounded, then b_enc added, as some libraries do
    tied: bool = False  # the encoder is the decoder's transpose
    skip: bool = False  # the input also reaches the output through one matrix of its own
    floor: float = 0.0  # topk: activations at or below it are none
    prefixes: tuple[int, ...] | None = None  # matryoshka: sizes of the nested dictionaries, the last is d_sae

    def __post_init__(self) -> None:
        self._set("d_out", self.d_in if self.d_out is None else self.d_out)
        check_counts(self, ("d_in", "d_sae", "d_out", "k", "context"))
        for name in ("hook_in", "hook_out"):
            self._set(name, str(HookPoints.of(getattr(self, name))))
        self._set("hook_out", self.hook_out or self.hook_in)
        for name, allowed in (("normalize", NORMALIZE), ("input_bias", INPUT_BIAS)):
            check_choice(name, getattr(self, name), allowed)
        check_dtype(self.dtype)
        for needs, why in (
            (self.input_bias == "decoder", "input_bias='decoder' subtracts b_dec from the input"),
            (self.tied, "a tied SAE has one matrix"),
        ):
            if needs and self.d_out != self.d_in:
                raise SaelabError(f"{why}, so d_out={self.d_out} must equal d_in={self.d_in}")
        self._check_own()
        self._check_widths()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_own(self) -> None:
        """Settings that only some architectures have."""
        from saelab.sae.archs import ARCHS

        check_choice("architecture", self.arch, ARCHS)
        for name, absent in (("k", None), ("floor", 0.0), ("prefixes", None)):
            if getattr(self, name) != absent and name not in ARCHS[self.arch].settings:
                owners = " or ".join(a for a, row in ARCHS.items() if name in row.settings)
                fixed = " (it has no fixed k)" if name == "k" else ""
                raise SaelabError(f"{name} belongs to a {owners} SAE, not to a {self.arch} one{fixed}")
        if ARCHS[self.arch].needs_k:
            if self.k is None:
                raise SaelabError(f"a {self.arch} SAE needs k, the latents kept per token (such as k=32)")
            if self.k > self.d_sae:
                raise SaelabError(f"k={self.k} is more than the d_sae={self.d_sae} latents there are")
        if not 0 <= self.floor < float("inf"):
            raise SaelabError(f"floor is an activation of at least 0, got {self.floor}")
        if "prefixes" in ARCHS[self.arch].settings:
            # doubling: each nested dictionary adds as many latents as there were
            sizes = self.prefixes or [self.d_sae >> i for i in (4, 3, 2, 1, 0) if self.d_sae >> i]
            sizes = tuple(check_count("prefix", s) for s in sizes)
            if sorted(set(sizes)) != list(sizes) or sizes[-1] != self.d_sae:
                raise SaelabError(f"prefixes must grow and end at d_sae={self.d_sae}, got {sizes}")
            self._set("prefixes", sizes)

    def _check_widths(self) -> None:
        """Widths and scales of a crosscoder's hook points."""
        if self.widths is not None:
            widths = tuple(check_count("width", w) for w in self.widths)
            self._set("widths", widths)
            if len(widths) != len(self.hooks) or sum(widths) != self.d_in or self.d_out != self.d_in:
                raise SaelabError(
                    f"a crosscoder's widths {widths} must be one per hook point ({len(self.hooks)}) "
                    f"and add up to d_in={self.d_in} and d_out={self.d_out}"
                )
        if isinstance(self.scale, (tuple, list)):
            self._set("scale", tuple(float(s) for s in self.scale))
            if len(self.widths or ()) != len(self.scale):
                raise SaelabError(f"{len(self.scale)} scales need as many widths, got widths={self.widths}")
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        for scale in (*scales, 1.0 if self.scale_out is None else self.scale_out):
            if not scale > 0:
                raise SaelabError(f"scale must be positive, got {scale}")

    @property
    def hooks(self) -> HookPoints:
        """The hook points that are read: one, or several for a crosscoder.

        Examples
        --------
        >>> sl.SAEConfig("relu", 8, 32, hook_in=("a", "b"), widths=(3, 5)).hooks
        ('a', 'b')
        """
        return HookPoints.of(self.hook_in)

    @property
    def hooks_out(self) -> HookPoints:
        """The hook points that are written: as those that are read, or a transcoder's other one.

        Examples
        --------
        >>> sl.SAEConfig("relu", 8, 32, hook_in="a", hook_out="b").hooks_out
        ('b',)
        """
        return HookPoints.of(self.hook_out)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data.

        Examples
        --------
        >>> sae.config.to_dict()["arch"]
        'topk'
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SAEConfig:
        """From plain JSON data; a key this version does not know is an error, never ignored.

        Examples
        --------
        >>> sl.SAEConfig.from_dict(sae.config.to_dict()) == sae.config
        True
        """
        names = [f.name for f in fields(cls)]
        for key in data:
            check_choice("SAE config key", key, names)
        for key in ("arch", "d_in", "d_sae"):
            if key not in data:
                raise SaelabError(f"this SAE config has no {key!r}; refusing to guess it")
        return cls(**data)
