"""Dead and rare latents, counted by hand."""

import torch

from saelab.training.firing import Firing


def none(n):
    return torch.zeros(n, dtype=torch.bool)


def test_rare_is_below_one_in_100_000():
    firing = Firing(4)
    ids = torch.tensor([0] * 5 + [1] * 2 + [2] * 1)
    firing.add(ids, 99_999)
    assert firing.rare(none(4)) == 0  # too few tokens to say so
    firing.add(torch.tensor([], dtype=torch.long), 100_002)  # 200,001 tokens: the limit is 2.00001 firings
    assert firing.rare(none(4)) == 3
    assert firing.rare(torch.tensor([False, False, False, True])) == 2  # dead latents are not rare ones


def test_the_window_moves_on():
    firing = Firing(2, window=200_000)
    firing.add(torch.zeros(100, dtype=torch.long), 200_000)
    assert firing.rare(none(2)) == 1
    firing.add(torch.ones(100, dtype=torch.long), 200_000)
    assert firing.counts.tolist() == [[0, 100], [100, 0]]
    assert firing.rare(none(2)) == 0
    firing.add(torch.ones(100, dtype=torch.long), 200_000)
    assert firing.tokens == [200_000, 200_000]
    assert firing.rare(none(2)) == 1  # latent 0 fired long ago
