import shutil

import pytest
from cases import FIXTURES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache that holds one repository with two SAEs."""
    from huggingface_hub import constants

    root = tmp_path / "hub"
    snapshot = root / "models--somebody--saes" / "snapshots" / ("0" * 40)
    for name in ("layer_0", "layer_1"):
        shutil.copytree(FIXTURES / "saelens/topk", snapshot / name)
    (root / "models--somebody--saes" / "refs").mkdir()
    (root / "models--somebody--saes" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    return root
