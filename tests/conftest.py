import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the tests need no hub; a look-up would only wait
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny():
    """One random 2-layer model for the tests that do not change it."""
    from helpers import shared_tiny

    return shared_tiny()


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    """A model of either family, for whoever does not make his own."""
    from helpers import tiny_model

    return tiny_model(request.param)


@pytest.fixture(scope="module")
def sae():
    """An SAE on it."""
    from helpers import random_sae

    return random_sae()
