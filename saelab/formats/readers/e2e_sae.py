"""End-to-end SAEs (ApolloResearch/e2e_sae): a ``.pt`` with, for each hook point (``.`` written as ``-``),
``<hook>.encoder.0.weight (d_sae, d_in)``, ``<hook>.encoder.0.bias``, ``<hook>.decoder.weight (d_in, d_sae)``
and ``<hook>.decoder.bias``; ``final_config.yaml`` beside it names the model. ReLU, nothing subtracted from
the input; decoder rows are brought to length 1 whenever they are used, so they are when loaded."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F

from saelab.errors import SaelabError, check_choice
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, POSITIVE, TABLE, TEXT, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights, linear
from saelab.sae import SAE

NAME = "e2e_sae"
CONFIG = "final_config.yaml"
LAYOUT = Layout(single=r"samples_\d+\.pt", beside=(CONFIG,))
END = ".encoder.0.weight"
KEYS = {"tlens_model_name": TEXT, "train_data": TABLE, "saes": TABLE} | unused(
    "wandb_project wandb_run_name wandb_run_name_prefix seed tlens_model_path save_dir n_samples save_every_n_samples "
    "eval_every_n_samples eval_n_samples batch_size effective_batch_size lr lr_schedule min_lr_factor warmup_samples "
    "cooldown_samples max_grad_norm log_every_n_grad_steps collect_act_frequency_every_n_samples "
    "act_frequency_n_tokens loss eval_data"
)
DATA_KEYS = {"n_ctx": COUNT} | unused(
    "dataset_name is_tokenized tokenizer_name streaming split seed column_name"
)  # fmt: skip
SAES_KEYS = {"dict_size_to_input_ratio": POSITIVE} | unused(
    "retrain_saes pretrained_sae_paths sae_positions k type_of_sparsifier init_decoder_orthogonal"
)
TENSORS = linear("encoder.0", "decoder")


def _points(names: Iterable[object]) -> dict[str, str]:
    """Hook point -> what its tensors' names begin with."""
    begins = [str(name).removesuffix(END) for name in names if str(name).endswith(END)]
    return {begin.replace("-", "."): begin for begin in begins}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    return path is not None and bool(_points(src.keys(path)))


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in; ``given={"hook_in": …}`` chooses where it holds several."""
    path = src.one(".pt")
    stored = src.tensors(path)
    points = _points(stored)
    hook = src.given.get("hook_in")
    if hook is None and len(points) == 1:
        hook = next(iter(points))
    if hook is None:
        raise SaelabError(
            f"{path} holds SAEs of {len(points)} hook points; say which: given={{'hook_in': …}}, one of "
            + ", ".join(map(repr, points))
        )
    check_choice(f"hook point in {path}:", hook, points)
    for name in stored:
        if not str(name).startswith(tuple(p + "." for p in points.values())):
            raise SaelabError(f"{path} holds {name!r}, which belongs to no SAE of this format")
    begins = points[hook] + "."
    own = {name.removeprefix(begins): t for name, t in stored.items() if name.startswith(begins)}
    w = Weights(own, path, src.obstacles)
    tensors = w.map(TENSORS)
    tensors["W_dec"] = F.normalize(tensors["W_dec"].float(), dim=1)
    config = src.config(CONFIG, KEYS, needed=False)
    data = src.table(config["train_data"] or {}, f"'train_data' in {config.where}", DATA_KEYS)
    saes = src.table(config["saes"] or {}, f"'saes' in {config.where}", SAES_KEYS)
    ratio, width = saes["dict_size_to_input_ratio"], w.sizes["d_in"]
    w.expect(str(saes.where), d_sae=int(ratio * width) if ratio else None)
    return assemble(
        src, w, tensors, NAME, arch="relu", input_bias="none", hook_in=hook, model=config["tlens_model_name"],
        context=data["n_ctx"],
    )  # fmt: skip
