"""The hub: addresses, revisions, tokens, and what happens while it cannot be reached."""

import time
import warnings

import pytest
from cases import make
from test_publish import fake  # noqa: F401

import saelab as sl
from saelab.errors import SaelabError
from saelab.formats import hub, load_sae

TAG = "2" * 40


def held(sae, folder) -> dict[str, bytes]:
    """The files of a saved SAE, as a repository holds them."""
    return {path.name: path.read_bytes() for path in sae.save(folder).iterdir()}


@pytest.fixture
def repo(fake, tmp_path):  # noqa: F811
    """A hub with me/sae: TopK on main, ReLU at v1 and pr/1, several SAEs in folders at many."""
    fake.repos["me/sae"] = held(make("topk"), tmp_path / "a")
    relu = held(make("relu"), tmp_path / "b")
    for name in ("v1", TAG, "refs/pr/1"):
        fake.versions["me/sae", name] = (TAG, relu)
    fake.repos["me/many"] = {
        f"layers/{n}/{name}": data
        for n, kind in enumerate(("topk", "gated"))
        for name, data in held(make(kind), tmp_path / kind).items()
    }
    return fake


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("org/repo", ("org/repo", None, "")),
        ("org/repo@v1", ("org/repo", "v1", "")),
        ("org/repo@v1/layer_3/x", ("org/repo", "v1", "layer_3/x")),
        ("org/repo/layer_3/x", ("org/repo", None, "layer_3/x")),
        ("org/repo/layer_3/x@v1", ("org/repo", "v1", "layer_3/x")),
        ("org/repo@refs/pr/3/layer_3", ("org/repo", "refs/pr/3", "layer_3")),
        ("hf://org/repo", ("org/repo", None, "")),
        ("hf://org/repo/sub@rev", ("org/repo", "rev", "sub")),
        ("hf://org/repo@rev/sub/", ("org/repo", "rev", "sub")),
        ("hf://models/org/repo@rev/sub", ("org/repo", "rev", "sub")),
        ("https://huggingface.co/org/repo", ("org/repo", None, "")),
        ("https://huggingface.co/org/repo/", ("org/repo", None, "")),
        ("https://huggingface.co/org/repo/tree/rev/sub", ("org/repo", "rev", "sub")),
        ("https://huggingface.co/org/repo/tree/refs%2Fpr%2F3/sub", ("org/repo", "refs/pr/3", "sub")),
        ("https://huggingface.co/org/repo/blob/main/a/b.pt?download=true", ("org/repo", "main", "a/b.pt")),
        ("https://huggingface.co/org/repo/resolve/main/a/b.pt#x", ("org/repo", "main", "a/b.pt")),
        ("huggingface.co/org/repo", ("org/repo", None, "")),
        ("https://hf.co/org/repo.v2/tree/main", ("org/repo.v2", "main", "")),
        ("repo", None), ("./org/repo", None), ("../org/repo", None), ("/org/repo", None), ("~/org/repo", None),
        ("org/repo@", None), ("org//repo", None), ("", None), ("C:\\saes\\x", None),
    ],
)  # fmt: skip
def test_D14_addresses(source, parts):
    assert hub.parse(source) == parts


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://huggingface.co/datasets/org/repo", "no model repository"),
        ("https://example.org/org/repo", r"not of huggingface\.co"),
        ("s3://bucket/sae", r"not of huggingface\.co"),
        ("https://huggingface.co/", "no address of the hub: org/repo, org/repo/folder, org/repo@revision"),
        ("nothing", "no address of the hub"),
    ],
)
def test_D14_what_is_no_address_gets_a_hint(source, message):
    with pytest.raises(SaelabError, match=message):
        load_sae(source)


@pytest.mark.parametrize(
    ("source", "options", "arch"),
    [
        ("me/sae", {}, "topk"),
        ("me/sae@v1", {}, "relu"),
        ("me/sae", {"revision": "v1"}, "relu"),
        ("me/sae", {"revision": TAG}, "relu"),
        ("me/sae", {"revision": "refs/pr/1"}, "relu"),
        ("hf://me/sae@v1", {}, "relu"),
        ("https://huggingface.co/me/sae/tree/v1", {}, "relu"),
        ("https://huggingface.co/me/sae/blob/v1/weights.safetensors", {}, "relu"),
        ("me/many/layers/1", {}, "gated"),
        ("me/many/layers", {"sae_id": "1"}, "gated"),
        ("me/many@main/layers/1", {}, "gated"),
    ],
)  # fmt: skip
def test_D14_an_address_is_loaded(repo, source, options, arch):
    sae = load_sae(source, **options)
    assert sae.config.arch == arch


def test_D14_a_revision_that_is_not_there(repo, tmp_path):
    with pytest.raises(SaelabError, match="me/sae has no branch, tag or commit 'v9'"):
        load_sae("me/sae@v9")
    with pytest.raises(SaelabError, match="names the revision 'v1', revision='main' another one"):
        load_sae("me/sae@v1", revision="main")
    with pytest.raises(SaelabError, match="is here, and not on the hub: it has no revision 'v1'"):
        load_sae(make("relu").save(tmp_path / "here"), revision="v1")


def test_D14_the_commit_is_on_record(repo, tmp_path):
    theirs = sl.save_sae(make("relu"), tmp_path / "theirs", format="saelens")
    repo.repos["me/theirs"] = {path.name: path.read_bytes() for path in theirs.iterdir()}
    assert load_sae("me/theirs").record["loaded"]["revision"] == "1" * 40


def test_D13_saelens_computes_in_float32_what_is_from_the_hub(repo, tmp_path):
    """Its own loader takes the config's dtype from a disk, and float32 from the hub."""
    half = load_sae(make("relu").save(tmp_path / "own"), dtype="bfloat16")
    theirs = sl.save_sae(half, tmp_path / "theirs", format="saelens")
    assert load_sae(theirs).config.dtype == "bfloat16"
    repo.repos["me/theirs"] = {path.name: path.read_bytes() for path in theirs.iterdir()}
    assert load_sae("me/theirs").config.dtype == "float32"


def test_D14_a_token_opens_what_is_private(repo, monkeypatch):
    repo.private.add("me/sae")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SaelabError, match="private and you are not logged in"):
        load_sae("me/sae")
    assert load_sae("me/sae", token=repo.token).config.arch == "topk"


@pytest.mark.parametrize("status", [500, 502, 503, 429, "gone"])
def test_D14_the_cached_copy_is_used_at_once(repo, status, monkeypatch):
    for revision in (None, "v1"):
        load_sae("me/sae", revision=revision)
    before = len(repo.asked)
    if status == "gone":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    else:
        repo.status = status
    for revision, arch, commit in (
        (None, "topk", "1" * 12),
        ("v1", "relu", "2" * 12),
        (TAG, "relu", "2" * 12),
    ):
        start = time.monotonic()
        why = "offline" if status == "gone" else str(status)
        with pytest.warns(UserWarning, match=rf"{why}.* me/sae is read from the cache, at revision {commit}"):
            assert load_sae("me/sae", revision=revision).config.arch == arch
        assert time.monotonic() - start < 5
    assert len(repo.asked) - before <= 3, "the hub is asked once each"
    with pytest.raises(SaelabError, match="me/many is not a folder here, the hub cannot be reached"):
        load_sae("me/many/layers/1")


def test_D14_what_is_in_the_cache_is_not_asked_for_again(repo):
    load_sae("me/sae")
    before = len(repo.asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_sae("me/sae")
    assert repo.asked[before:] == ["/api/models/me/sae"]


def test_D14_a_misspelt_name_of_the_catalog_is_named_though_it_could_be_an_address(repo):
    with pytest.raises(
        SaelabError, match=r"not found on the hub.*Did you mean 'gpt2-small/gpt2-small-res-jb"
    ):
        load_sae("gpt2-small/gpt2-small-rez-jb/blocks.8.hook_resid_pre")


def test_a_misspelt_name_of_a_bundled_sae_is_answered_with_it():
    with pytest.raises(SaelabError, match="Did you mean 'zoo', which comes with the package"):
        load_sae("zo")
