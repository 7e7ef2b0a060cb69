"""The folder of a run, ``out``: its checkpoints while it trains, its SAEs afterwards."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor

from saelab import files, identity
from saelab.activations.buffer import ActivationBuffer
from saelab.errors import SaelabError
from saelab.sae import SAE, saving
from saelab.sae.objective import ALONE, Ranks, shares
from saelab.training import checkpoint, sharded
from saelab.training.trainer import Trainer


class RunFolder:
    """Where ``n`` SAEs are kept; ``identity`` is what must be the same when the run is resumed."""

    def __init__(self, path: Path, n: int, identity: dict[str, Any], ranks: Ranks = ALONE):
        self.path, self.identity, self.ranks = path, identity, ranks
        self.places = [path] if n == 1 else [path / str(i) for i in range(n)]
        self.describe: Callable[[], None] = lambda: None  # writes what was asked for, when the run begins

    def check(self, resume: bool) -> None:
        """Refuse a folder that cannot be written: a run of hours must not end with it."""
        try:
            if self.path.is_file():
                raise SaelabError("it is a file; give a folder")
            if self.ranks.rank == 0:
                files.write_text(self.path / ".trial", "")
                (self.path / ".trial").unlink()
        except (OSError, SaelabError) as error:
            raise SaelabError(f"cannot write to out={str(self.path)!r}: {error}") from None
        if saving.holds_index(self.path):
            raise SaelabError(f"{self.path} holds an index: give another folder")
        if not resume and all((p / "record.json").is_file() for p in self.places):
            earlier = files.read_json(self.places[0] / "record.json", dict).get("identity")
            if differs := identity.changed(earlier, self.identity) if isinstance(earlier, dict) else []:
                raise SaelabError(
                    f"{self.path} holds a run with another {differs[0].removeprefix('sae0.')}, which would be lost: give "
                    "another folder, or move it away"
                )
        if checkpoint.exists(self.path) and not resume:
            raise SaelabError(
                f"{self.path} holds the checkpoint of a run that did not end: give resume=True to go on with "
                "it, another folder, or remove its folder 'checkpoints'"
            )

    def lock(self) -> AbstractContextManager[None]:
        """No other run writes here meanwhile."""
        if self.ranks.rank:  # the first one holds it for all
            return contextlib.nullcontext()
        return files.folder_lock(self.path, "training", name=".training.lock")

    def save(self, trainers: Sequence[Trainer], buffer: ActivationBuffer, sample: str) -> str:
        """Write a checkpoint. A disk that is full must not cost the run: the note says it; empty if all is well."""
        held = buffer.state_dict()
        tensors = {f"buffer.{n}": t for n, t in held["tensors"].items()}
        slices: dict[str, Tensor] = {}  # of the latents of this rank
        jobs = []
        for i, trainer in enumerate(trainers):
            own = trainer.state_dict()
            for n, t in own["tensors"].items():
                shared = self.ranks.alone or sharded.sliced_axis(n, t) is None
                (tensors if shared else slices)[f"sae{i}.{n}"] = t
            jobs.append({"config": trainer.whole.to_dict(), "counters": own["counters"]})
        state = {"identity": self.identity, "buffer": held["counters"], "jobs": jobs, "sample": sample}
        if not self.ranks.alone:
            begins = [shares(t.whole.d_sae, self.ranks.size) for t in trainers]
            state["slices"] = [[b[r] for b in begins] for r in range(self.ranks.size)]
        try:
            checkpoint.save(self.path, trainers[0].done, files.plain(state, str), tensors, slices, self.ranks)
        except (OSError, SaelabError) as error:
            note = f"no checkpoint at {trainers[0].tokens} tokens: {error}"
            warnings.warn(f"{note}; training goes on in memory", stacklevel=2)
            return note
        return ""

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The newest checkpoint, which must be of this run: state, and tensors as :meth:`save` was given them, with the
        latents of this rank, however many ranks wrote it."""
        state, tensors, slices = checkpoint.load(self.path)
        with files.reading(self.path / "checkpoints"):
            self._compare(dict(state["identity"]))
            for i, job in enumerate(state["jobs"]):
                mine = self.ranks.share(job["config"]["d_sae"])
                prefix = f"sae{i}."
                found = [(begins[i], under(t, prefix)) for begins, t in slices] or [
                    (0, under(tensors, prefix))
                ]
                if len(slices) or not self.ranks.alone:
                    tensors |= {
                        prefix + n: t for n, t in sharded.joined(found, mine.start, mine.stop).items()
                    }
        return state, tensors

    def finished(self) -> list[SAE] | None:
        """The SAEs, if this run has ended before."""
        if not all((p / n).is_file() for p in self.places for n in ("record.json", "config.json")):
            return None
        from saelab.formats import load_sae

        saes = [load_sae(p) for p in self.places]
        if not all("identity" in s.record for s in saes):
            raise SaelabError(
                f"{self.path} holds an SAE that was not trained by this call: give another folder"
            )
        with files.reading(self.path / "record.json"):
            self._compare(dict(saes[0].record["identity"]))
            ended = all(s.record["ended"] for s in saes)
        if not ended:
            raise SaelabError(
                f"the run in {self.path} was stopped after {saes[0].record['tokens']} tokens and left no "
                "checkpoint to go on from (no checkpoint_every); give another folder, or resume=False"
            )
        return saes

    def write(self, saes: Sequence[SAE], ended: bool) -> None:
        """Save the SAEs; no checkpoint is left of a run that has ended."""
        try:
            for sae, place in zip(saes, self.places, strict=False):
                sae.save(place)
            if ended:
                checkpoint.clear(self.path)
        except (OSError, SaelabError) as error:
            # the weights are worth more than the rule that errors are raised
            warnings.warn(
                f"trained, but not saved: {error}. Save it elsewhere with sae.save(…)", stacklevel=3
            )

    def _compare(self, earlier: dict[str, Any]) -> None:
        """An error that names the first setting in which this run is not the ``earlier`` one."""
        for name in identity.changed(earlier, self.identity):
            if name.endswith(".init") and len(str(earlier.get(name))) == 16:
                continue  # the digest of an earlier saelab, which says nothing beside today's
            shown = name.removeprefix("sae0.") if len(self.places) == 1 else name
            raise SaelabError(
                f"cannot resume: {shown} was {identity.told(earlier.get(name))} in the run in {self.path}, "
                f"and is {identity.told(self.identity.get(name))} now"
            )


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
