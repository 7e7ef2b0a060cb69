"""A model of either family and an SAE on it, for whoever does not make his own."""

import pytest
from helpers import random_sae, tiny_model


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    return tiny_model(request.param)


@pytest.fixture(scope="module")
def sae():
    return random_sae()
