"""What an SAE is, apart from its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from saelab.errors import SaelabError, check_count, check_dtype, unknown

NORMALIZE = ("none", "layer_norm", "constant_norm", "scale")
PER_ROW = ("layer_norm", "constant_norm")  # each row by its own size: no weights can do that
INPUT_BIAS = ("decoder", "none", "own")


@dataclass(frozen=True)
class SAEConfig:
    """Everything needed to run an SAE as it was trained; saved beside the weights.

    Raises
    ------
    SaelabError
        On construction, if sizes do not fit together or a name is unknown.
    """

    arch: str
    d_in: int
    d_sae: int
    k: int | None = None  # latents kept per row; only for architectures that fix it
    d_out: int | None = None  # None: d_in
    hook_in: str = ""  # where the input is read; a crosscoder reads several: a tuple, kept joined by "+"
    hook_out: str = ""  # where the reconstruction belongs; differs from hook_in for a transcoder
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
    tied: bool = False  # the encoder is the decoder's transpose
    skip: bool = False  # the input also reaches the output through one matrix of its own
    floor: float = 0.0  # topk: activations at or below it are none
    prefixes: tuple[int, ...] | None = None  # matryoshka: sizes of the nested dictionaries, the last is d_sae

    def __post_init__(self) -> None:
        from saelab.sae.archs import ARCHS

        if self.arch not in ARCHS:
            raise unknown("architecture", self.arch, ARCHS)
        for name in ("d_in", "d_sae"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        object.__setattr__(
            self, "d_out", check_count("d_out", self.d_out if self.d_out is not None else self.d_in)
        )
        for name in ("hook_in", "hook_out"):
            if not isinstance(getattr(self, name), str):
                object.__setattr__(self, name, "+".join(getattr(self, name)))
        object.__setattr__(self, "hook_out", self.hook_out or self.hook_in)
        if ARCHS[self.arch].needs_k:
            if self.k is None:
                raise SaelabError(
                    f"a {self.arch} SAE needs k, the number of latents kept per token (such as k=32)"
                )
            k = check_count("k", self.k)
            if k > self.d_sae:
                raise SaelabError(f"k={k} is more than the d_sae={self.d_sae} latents there are")
            object.__setattr__(self, "k", k)
        elif self.k is not None:
            raise SaelabError(f"a {self.arch} SAE has no fixed k, got k={self.k}")
        if self.normalize not in NORMALIZE:
            raise unknown("normalize", self.normalize, NORMALIZE)
        if self.input_bias not in INPUT_BIAS:
            raise unknown("input_bias", self.input_bias, INPUT_BIAS)
        check_dtype(self.dtype)
        if self.input_bias == "decoder" and self.d_out != self.d_in:
            raise SaelabError(
                "input_bias='decoder' subtracts b_dec from the input, so "
                f"d_out={self.d_out} must equal d_in={self.d_in}"
            )
        self._check_hooks()
        self._check_scale()
        self._check_prefixes()
        if not 0 <= self.floor < float("inf"):
            raise SaelabError(f"floor is an activation of at least 0, got {self.floor}")
        if self.floor and self.arch != "topk":
            raise SaelabError(f"floor belongs to a topk SAE; {self.arch} has its own way of being silent")
        if self.tied and self.d_in != self.d_out:
            raise SaelabError(f"a tied SAE has one matrix: d_out={self.d_out} must equal d_in={self.d_in}")

    def _check_hooks(self) -> None:
        if self.widths is None:
            return
        widths = tuple(check_count("width", w) for w in self.widths)
        object.__setattr__(self, "widths", widths)
        if len(widths) != len(self.hooks) or sum(widths) != self.d_in or self.d_out != self.d_in:
            raise SaelabError(
                f"a crosscoder's widths {widths} must be one per hook point ({len(self.hooks)}) "
                f"and add up to d_in={self.d_in} and d_out={self.d_out}"
            )

    def _check_scale(self) -> None:
        if isinstance(self.scale, (tuple, list)):
            object.__setattr__(self, "scale", tuple(float(s) for s in self.scale))
            if self.widths is None or len(self.widths) != len(self.scale):
                raise SaelabError(f"{len(self.scale)} scales need as many widths, got widths={self.widths}")
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        for scale in (*scales, *(() if self.scale_out is None else (self.scale_out,))):
            if not scale > 0:
                raise SaelabError(f"scale must be positive, got {scale}")

    def _check_prefixes(self) -> None:
        if self.arch != "matryoshka":
            if self.prefixes is not None:
                raise SaelabError(f"prefixes belong to a matryoshka SAE, not to {self.arch}")
            return
        # doubling: each nested dictionary adds as many latents as there were
        sizes = self.prefixes or [self.d_sae >> i for i in (4, 3, 2, 1, 0) if self.d_sae >> i]
        sizes = tuple(check_count("prefix", s) for s in sizes)
        if any(a >= b for a, b in zip(sizes, sizes[1:], strict=False)) or sizes[-1] != self.d_sae:
            raise SaelabError(f"prefixes must grow and end at d_sae={self.d_sae}, got {sizes}")
        object.__setattr__(self, "prefixes", sizes)

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hook points that are read: one, or several for a crosscoder."""
        return tuple(self.hook_in.split("+"))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SAEConfig:
        """From plain JSON data; a key this version does not know is an error, never ignored."""
        names = [f.name for f in fields(cls)]
        for key in data:
            if key not in names:
                raise unknown("SAE config key", key, names)
        for key in ("arch", "d_in", "d_sae"):
            if key not in data:
                raise SaelabError(f"this SAE config has no {key!r}; refusing to guess it")
        return cls(**data)
