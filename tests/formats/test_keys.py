"""Every key of every format's config: a value that is changed changes the SAE or is refused, an unknown key is an
error that ``ignore`` lets pass, and all obstacles stand in one message."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
import yaml
from cases import FIXTURES, GIVEN, READ, SAE_ID, make
from safetensors.torch import load_file, save_file

from saelab.errors import SaelabError
from saelab.formats import FORMATS, load_sae
from saelab.formats.keys import UNUSED, Key

CONFIGS = [
    (name, path.relative_to(FIXTURES / name).as_posix())
    for name in READ for path in sorted((FIXTURES / name).rglob("*")) if path.suffix in (".json", ".yaml")
] + [("native", "config.json")]  # fmt: skip
# formats without a config beside the weights
BARE = {"gemma_scope", "goodfire", "linear_pair", "openai", "qwen_scope", "transcoder_circuits"}


@pytest.fixture
def copy(tmp_path):
    def put(name):
        folder = tmp_path / "x" / name.split("/")[-1]
        shutil.rmtree(folder, ignore_errors=True)
        if name == "native":
            return make("matryoshka").save(folder)
        return shutil.copytree(FIXTURES / name, folder)

    return put


def read(path):
    return yaml.safe_load(path.read_text()) if path.suffix == ".yaml" else json.loads(path.read_text())


def write(path, values):
    path.write_text(yaml.safe_dump(values) if path.suffix == ".yaml" else json.dumps(values))


def opened(name, folder, **options):
    return load_sae(folder, given=GIVEN.get(name), sae_id=SAE_ID.get(name), **options)


def tables(config, at=()):
    """The path of every table in a config."""
    yield at
    for key, value in config.items():
        if isinstance(value, dict) and key not in ("training_architecture_details", "activation_fn_kwargs"):
            yield from tables(value, (*at, key))


def inside(config, at):
    for key in at:
        config = config[key]
    return config


def changed(value):
    """Another value of the same kind, and one of another kind."""
    if isinstance(value, bool):
        return [not value, "perhaps"]
    if isinstance(value, (int, float)):
        return [value + 1, "nine"]
    if isinstance(value, str):
        return [value + "x", 3]
    if isinstance(value, dict):
        return [{}, 3]
    return [["changed"], 3]


def seen(sae):
    """All that an SAE is."""
    return (
        sae.config,
        {k: v.tolist() for k, v in sae.named_parameters()},
        sae.record.get("loaded", {}).get("config"),
    )


@pytest.mark.parametrize(("name", "file"), CONFIGS, ids=lambda v: v)
def test_D11_a_changed_value_changes_the_sae_or_is_refused(name, file, copy):
    folder = copy(name)
    before = seen(opened(name, folder))
    config = read(folder / file)
    silent = []
    for at in tables(config):
        for key, value in inside(config, at).items():
            for other in changed(value):
                new = json.loads(json.dumps(config))
                inside(new, at)[key] = other
                write(folder / file, new)
                try:
                    if seen(opened(name, folder)) == before:
                        silent.append((*at, key, other))
                except SaelabError:
                    pass
    assert not silent


@pytest.mark.parametrize(("name", "file"), CONFIGS, ids=lambda v: v)
def test_D11_unknown_keys_are_named_together_and_ignore_passes(name, file, copy):
    folder = copy(name)
    before = seen(opened(name, folder))
    config = read(folder / file)
    for at in tables(config):
        new = json.loads(json.dumps(config))
        inside(new, at).update({"d_modle": 8, "swiglu_alpha": 1.5, "extra": {"a": 1}})
        write(folder / file, new)
        with pytest.raises(SaelabError) as error:
            opened(name, folder)
        message = str(error.value)
        assert all(key in message for key in ("'d_modle'", "'swiglu_alpha'", "'extra'"))
        if name != "native":
            assert file.rsplit("/", 1)[-1] in message
            assert "ignore=('swiglu_alpha',)" in message
        sae = opened(name, folder, ignore=("d_modle", "swiglu_alpha", "extra"))
        assert seen(sae) == before
        ignored = sae.record.get("loaded", sae.record)["ignored"]
        assert ignored == {"d_modle": 8, "swiglu_alpha": 1.5, "extra": {"a": 1}}
        with pytest.raises(SaelabError, match="swiglu_alpha"):
            opened(name, folder, ignore=("d_modle", "extra"))


@pytest.mark.parametrize(("name", "file"), [c for c in CONFIGS if c[0] != "native"], ids=lambda v: v)
def test_D11_all_obstacles_stand_in_one_message(name, file, copy):
    """A key nobody knows, a value of another kind, a contradiction of the user, and an array with NaN."""
    folder = copy(name)
    config = read(folder / file)
    config |= {"swiglu_alpha": 1.5, "context_size": "many", "model_name": 3}
    write(folder / file, config)
    with pytest.raises(SaelabError) as error:
        load_sae(folder, given=GIVEN.get(name, {}) | {"arch": "gated"}, sae_id=SAE_ID.get(name))
    message = str(error.value)
    assert "swiglu_alpha" in message
    assert "context_size must be a whole number, got 'many'" in message
    if name != "crosscoder/relu" and not name.startswith("crosscoder"):  # there it names the first model only
        assert "model_name must be a text, got 3" in message


def test_D11_keys_that_stand_beside_tensors(copy):
    """Of formats without a config of their own."""
    for name, table, file in (
        ("transcoder_circuits/relu", "cfg", "transcoder.pt"), ("openai/topk", "activation_state_dict", "8.pt"),
    ):  # fmt: skip
        folder = copy(name)
        state = torch.load(folder / file)
        state[table] = {**state[table], "swiglu_alpha": 1.5}
        torch.save(state, folder / file)
        with pytest.raises(SaelabError, match="'swiglu_alpha'"):
            load_sae(folder)
        assert load_sae(folder, ignore="swiglu_alpha").record["loaded"]["ignored"] == {"swiglu_alpha": 1.5}
    state = {key: value for key, value in state.items() if "activation." not in key}
    state[table] = {"k": 3.5, "postact_fn": "Identity"}
    torch.save(state, folder / file)
    with pytest.raises(
        SaelabError, match=r"k must be a whole number(.|\n)*'Identity' lets latents be negative"
    ):
        load_sae(folder)
    for wrong in (3, [3], [None]):
        with pytest.raises(SaelabError, match="ignore must be"):
            load_sae(folder, ignore=wrong)


def test_every_reader_declares_its_keys():
    for name, form in FORMATS.items():
        assert all(isinstance(key, Key) for key in form.KEYS.values()), name
        assert form.KEYS or name in BARE, name
    assert UNUSED.used is False


# ---------------------------------------------------------------------------------- arrays that hold no numbers


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", [n for n in READ if list((FIXTURES / n).rglob("*.safetensors"))])
def test_D11_arrays_that_hold_no_numbers_are_named(name, bad, copy):
    folder = copy(name)
    chosen = SAE_ID.get(name)
    path = folder / chosen if chosen else next(iter(sorted(folder.rglob("*.safetensors"))))
    tensors = load_file(path)
    known = [k for k in tensors if "average" not in k]
    for key in known:
        broken = {k: v.clone() for k, v in tensors.items()}
        broken[key].view(-1)[-1] = bad
        save_file(broken, path)
        with pytest.raises(SaelabError, match=rf"{key} holds (NaN|infinite numbers)"):
            opened(name, folder)


def test_D11_arrays_of_other_files_too(copy):
    folder = copy("gemma_scope/res")
    arrays = dict(np.load(folder / "params.npz"))
    np.savez(folder / "params.npz", **(arrays | {"b_dec": np.full_like(arrays["b_dec"], np.nan)}))
    with pytest.raises(SaelabError, match="b_dec holds NaN"):
        load_sae(folder)
    folder = copy("goodfire/relu")
    path = next(folder.glob("*.pth"))
    state = torch.load(path)
    state["encoder_linear.weight"][3, 2] = -math.inf
    torch.save(state, path)
    with pytest.raises(SaelabError, match="encoder_linear.weight holds infinite numbers"):
        load_sae(folder)
    sae = make("relu")
    with torch.no_grad():
        sae.W_dec[1, 1] = math.nan
    with pytest.raises(SaelabError, match="W_dec holds NaN"):
        load_sae(sae.save(folder.parent / "own"))


# ------------------------------------------------------------------------------------------ what the user says


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": 2.0}, "would have no effect"),
        ({"scale": math.inf}, "scale must be a finite number"),
        ({"scale": -1.0}, "scale must be positive"),
        ({"scale": [1.0, math.nan]}, "scale must be a finite number"),
        ({"k": True}, "k must be a whole number"),
        ({"bos": "yes"}, "bos must be true or false"),
        ({"model": 3}, "model must be a text"),
        ({"hook_in": None}, "hook_in must be a text"),
        ({"context": 0}, "context must be at least 1"),
        ({"normalize": "layer_norm"}, "you say normalize='layer_norm'"),
        ({"model": "gpt2", "arch": "topk"}, "you say arch='topk'"),
    ],
)
def test_D11_what_the_user_says_is_checked(given, message, copy):
    with pytest.raises(SaelabError, match=message):
        load_sae(copy("saelens/standard"), given=given)


def test_D11_a_scale_of_a_crosscoder(copy):
    folder = copy("crosscoder/relu")
    for scale in ([1.0, math.inf], math.inf, [1.0, 2.0, 3.0]):
        with pytest.raises(SaelabError, match="scale"):
            load_sae(folder, given={"scale": scale})
    assert load_sae(folder, given={"scale": 2.0}).config.scale == 2.0


def test_a_model_has_several_names(copy):
    """SAELens's name of a model and the hub's are no contradiction."""
    folder = copy("saelens/v2_relu")
    assert load_sae(folder, given={"model": "gpt2"}).config.model == "gpt2-small"
    with pytest.raises(SaelabError, match="you say model='gpt2-medium'"):
        load_sae(folder, given={"model": "gpt2-medium"})


def test_F_names_of_folders_yield_to_the_user(tmp_path):
    place = tmp_path / "gemma-scope-2b-pt-res" / "layer_12/width_16k/average_l0_82"
    shutil.copytree(FIXTURES / "gemma_scope/res", place)
    assert load_sae(place).config.hook_in == "blocks.12.hook_resid_post"
    other = load_sae(place, given={"hook_in": "blocks.3.hook_resid_post", "model": "mine"}).config
    assert (other.hook_in, other.model) == ("blocks.3.hook_resid_post", "mine")


@pytest.mark.parametrize(("name", "file"), CONFIGS, ids=lambda v: v)
def test_D60_a_key_that_stands_twice_is_refused(name, file, copy):
    folder = copy(name)
    path, text = folder / file, (folder / file).read_text()
    if path.suffix == ".yaml":
        path.write_text(f"{text}\n{next(line for line in text.splitlines() if line[:1].isalpha())}\n")
    else:
        key = next(iter(json.loads(text)))
        path.write_text(text.replace("{", f"{{{json.dumps(key)}: 1, ", 1))
    with pytest.raises(SaelabError, match="stands twice"):
        load_sae(folder, given=GIVEN.get(name), sae_id=SAE_ID.get(name))
