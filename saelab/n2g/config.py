"""How to fit: every number in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count, check_number
from saelab.n2g.graph.match import RULES

SAMPLES = ("weighted", "random", "top")


@door
@dataclass(frozen=True)
class N2GConfig:
    """How to fit; every number is a choice that can be defended or changed.

    Attributes
    ----------
    n_train, rounds
        Examples that are explained by probing, and in how many rounds: after the first, examples are drawn
        among the firings that no pattern explains yet.
    sample
        ``weighted`` by activation (strong examples are clearer, but only strong ones are near-copies of each
        other), ``random``, or ``top``.
    keep
        Share of the activation a shorter or altered prompt must keep.
    wild
        A token is a wildcard if replacing it costs less than this share.
    max_len
        Longest suffix tried, in tokens.
    pads
        Random tokens put before a suffix to see whether it works anywhere.
    fillers
        Replacements tried per token.
    joint, joint_min
        Joint fillings per pattern, and the share of them that must keep the activation.
    offsets
        Distances before the token at which alternatives are always looked for, beside those probing found.
    gaps
        () forbids gaps; a gap is as wide as the run of wildcards it takes the place of allows, whatever is here.
    negation
        Whether a pattern may exclude tokens.
    max_patterns
        Most patterns proposed from the text.
    max_pairs
        Most patterns that a table of pairs adds at the end, for what no other explains; those of most firings stay.
    node_cost, alternative_cost
        F1 that a node, and a further alternative of a node, must gain.
    match
        ``specific`` (ours), ``first`` or ``longest``; see :mod:`saelab.n2g.graph.match`.
    pool
        Latents whose prompts are asked together.
    batch_tokens
        Tokens in one forward pass.
    verify
        Verify the finished patterns with the model.
    seed
        Of the split into documents, the examples and the fillers.
    """

    n_train: int = 24
    rounds: int = 3
    sample: str = "weighted"
    keep: float = 0.5
    wild: float = 0.5
    max_len: int = 24
    pads: tuple[int, ...] = (1, 4, 16)
    fillers: int = 4
    joint: int = 8
    joint_min: float = 0.75
    offsets: tuple[int, ...] = (1, 2, 3)
    gaps: tuple[int, ...] = (8,)
    negation: bool = True
    max_patterns: int = 8
    max_pairs: int = 400
    node_cost: float = 0.0005
    alternative_cost: float = 0.00005
    match: str = "specific"
    pool: int = 64
    batch_tokens: int = 16384
    verify: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_train", "rounds", "max_len", "fillers", "joint", "pool", "batch_tokens"):
            check_count(name, getattr(self, name))
        check_count("max_patterns", self.max_patterns, 0)
        check_count("max_pairs", self.max_pairs, 0)
        for name in ("keep", "wild", "joint_min"):
            if not 0 < getattr(self, name) <= 1:
                raise SaelabError(f"{name} is a share in 0…1, got {getattr(self, name)!r}")
        for name in ("node_cost", "alternative_cost"):
            check_number(name, getattr(self, name), 0.0)
        check_choice("sample", self.sample, SAMPLES)
        check_choice("matching rule", self.match, RULES)
        for name in ("pads", "offsets", "gaps"):
            object.__setattr__(self, name, tuple(check_count(name, v) for v in getattr(self, name)))
        if self.match != "specific" and self.gaps:
            object.__setattr__(self, "gaps", ())  # the greedy rules know no gaps

    @classmethod
    def fast(cls, **changes: Any) -> N2GConfig:
        """Half the prompts, for models where a forward pass is dear; a little less is explained.

        >>> sl.n2g.N2GConfig.fast(seed=1).n_train
        12
        """
        return cls(**{"n_train": 12, "max_len": 12, "fillers": 2, "joint": 4, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON.

        >>> sl.n2g.N2GConfig().to_dict()["rounds"]
        3
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> N2GConfig:
        """The opposite; an unknown key is an error.

        >>> sl.n2g.N2GConfig.from_dict({"seed": 3}).seed
        3
        """
        names = [f.name for f in fields(cls)]
        for key in data:
            check_choice("N2G setting", key, names)
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**plain)
