"""Whether a latent is among the k largest of its row, mostly without computing the row.

That takes no more than the number of latents above it. Bounds on all pre-activations come from a copy of the encoder in
8 bits, first from the largest inputs alone: few inputs are most of what neurons after a nonlinearity say. The bounds
hold for every input, so what they decide is what the whole row says; what they leave open is left to it.
"""

from __future__ import annotations

import math
import weakref

import torch
import torch.nn.functional as F
from torch import Tensor

from saelab.sae.sae import SAE

ROWS = 4  # more rows are encoded whole in little more time
SMALL = 1 << 18  # weights of an encoder that is read whole in the time the bounds take
SHARE = 8  # one input in this many is looked at first
BLOCK = 1 << 18  # weights that are copied at a time
FP32 = 2.0**-24  # relative error of rounding
TINY = 1e-17  # below it squares are lost


class Screen:
    """Bounds on the pre-activations ``w_i . x + b_i`` of an encoder ``W_enc`` (d_in, d_sae), ``b_enc`` in float32.

    With ``c_i`` the copy of ``w_i`` and ``x = y + z``, where ``y`` are the inputs that are looked at, ``c_i . y`` misses
    ``w_i . x`` by no more than ``|w_i| |z| + |w_i - c_i| |x|`` (Cauchy and Schwarz), and what sums of d_in terms
    lose in float32: this one, in which each term may be as large as the largest weight of its input; the whole row's;
    and the latent's own, which may be summed in another order.

    Attributes
    ----------
    works
        Whether torch's product is what it should be here; otherwise it says nothing.
    """

    def __init__(self, W_enc: Tensor, b_enc: Tensor):
        d_in, d_sae = W_enc.shape
        self.bias, self.mark, probe = b_enc.clone(), _mark(W_enc), _probe(d_in)[0]  # (d_sae), (d_sae), (d_in)
        # (d_in, d_sae and the scale and offset of the row)
        self.table = torch.empty(d_in, d_sae + 8, dtype=torch.uint8)
        self.every, self.start = torch.arange(d_in), torch.zeros(1, dtype=torch.long)  # (d_in), (1)
        self.first = max(1, d_in // SHARE)
        rest, size, product = torch.zeros(3, d_sae)  # |w - c|², |w|², c . probe: (d_sae) each
        largest = 0.0  # Σ over inputs of the square of their largest term
        step = max(16, BLOCK // d_sae)  # 16 of a latent are one line of the cache
        for part in (slice(i, i + step) for i in range(0, d_in, step)):
            w = W_enc[part].contiguous()  # (b, d_sae)
            self.table[part] = torch.ops.quantized.embedding_bag_byte_prepack(w)
            c = torch.ops.quantized.embedding_bag_byte_unpack(self.table[part])  # (b, d_sae)
            rest += (w - c).square_().sum(0)
            size += w.square().sum(0)
            product += probe[part] @ c
            largest += float((w.amax(1) - w.amin(1) + w.abs().amax(1)).square().sum())
        self.size = 1.01 * size.sqrt() + TINY  # (d_sae)
        sums = (d_in + 8) * FP32 * (math.sqrt(largest) + 3 * float(self.size.max()))
        self.rest = 1.01 * rest.sqrt() + sums + TINY  # (d_sae)
        self.typical = float(size.median().sqrt())
        edge = 2.0**-20 * float(b_enc.abs().max()) + 1e-30  # adding the bias rounds, too
        self.high, self.low = b_enc + edge, b_enc - edge  # (d_sae)
        wrong = (self._whole(probe) - product).abs().max()
        self.works = float(self.rest.max()) < 1e15 and bool(wrong <= sums * probe.norm())

    def _product(self, inputs: Tensor, values: Tensor, starts: Tensor) -> Tensor:
        """(n) ids of inputs, their values, and where the share of each thread begins -> (1, d_sae)."""
        shares = torch.ops.quantized.embedding_bag_byte_rowwise_offsets(
            self.table, inputs, starts, per_sample_weights=values
        )  # (threads, d_sae)
        return shares if len(starts) == 1 else shares.sum(0, keepdim=True)

    @torch.no_grad()
    def among(self, x: Tensor, values: list[float], k: int) -> list[bool | None]:
        """Whether latents with these pre-activations are among the k largest of their row; None where that is left open.

        ``x`` (d_in) float32 is the input less ``b_in``."""
        squares, d_sae = x * x, len(self.bias)  # (d_in)
        top = squares.topk(self.first, sorted=False)
        total = float(squares.sum())
        left = math.sqrt(max(total - float(top.values.sum()), 0.0) + 2.0**-12 * total) + TINY  # at least |z|
        length = 1.001 * math.sqrt(total) + TINY  # at least |x|
        found: list[bool | None] = [None] * len(values)
        if max(values) > self.typical * left:  # else it would hardly decide anything
            most = self._product(top.indices, x[top.indices], self.start).add_(self.high)  # (1, d_sae)
            most.add_(self.size, alpha=left).add_(self.rest, alpha=length)
            found = [_count(most < v) >= d_sae - k or None for v in values]
        if None in found:
            near = self._whole(x)  # (1, d_sae)
            most = (near + self.high).add_(self.rest, alpha=length)  # (1, d_sae)
            least = near.add_(self.low).sub_(self.rest, alpha=length)  # (1, d_sae)
            for i, v in enumerate(values):
                if found[i] is None and _count(most < v) >= d_sae - k:
                    found[i] = True
                elif found[i] is None and _count(least > v) >= k:
                    found[i] = False
        return found

    def _whole(self, x: Tensor) -> Tensor:
        """(d_in) -> (1, d_sae) what the copy makes of all inputs."""
        share = -(-len(x) // torch.get_num_threads())
        return self._product(self.every, x, torch.arange(0, len(x), share))

    def fits(self, W_enc: Tensor, b_enc: Tensor) -> bool:
        """Whether it was made of these weights."""
        return torch.equal(self.bias, b_enc) and torch.equal(self.mark, _mark(W_enc))


def _count(mask: Tensor) -> int:
    return int(mask.count_nonzero())  # a comparison with what is not a number does not count


def _probe(d_in: int) -> Tensor:
    """(1, d_in) float32, always the same."""
    return torch.randn(1, d_in, generator=torch.Generator().manual_seed(0))


def _mark(W_enc: Tensor) -> Tensor:
    """(d_sae) in which a change of the weights (d_in, d_sae) shows."""
    return F.linear(_probe(len(W_enc)), W_enc.T)[0]


_kept: weakref.WeakKeyDictionary[SAE, Screen] = weakref.WeakKeyDictionary()


@torch.no_grad()
def of(sae: SAE) -> Screen | None:
    """The screen of an SAE for which it is :func:`possible`, as the SAE is now; kept for the next time. None where
    torch's product is not what it should be."""
    screen = _kept.get(sae)
    if screen is None or not screen.fits(sae.W_enc, sae.b_enc):
        screen = _kept[sae] = Screen(sae.W_enc, sae.b_enc)
    return screen if screen.works else None


def possible(sae: SAE) -> bool:
    """Whether an SAE is on a processor that has the product with 8-bit weights, and large enough to gain by it."""
    known = hasattr(torch.ops.quantized, "embedding_bag_byte_rowwise_offsets")
    fast = known and "fbgemm" in torch.backends.quantized.supported_engines
    return (
        fast
        and sae.W_enc.device.type == "cpu"
        and sae.W_enc.dtype == torch.float32
        and sae.W_enc.numel() >= SMALL
    )
