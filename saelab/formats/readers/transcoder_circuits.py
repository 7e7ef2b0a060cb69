"""transcoder_circuits: a ``.pt`` ``{cfg, state_dict}`` with ``W_enc (d_in, d_sae)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_in)`` that is subtracted from the input and ``b_dec_out (d_out)`` that is
added to the output: ReLU.

The published files hold ``cfg`` as an object of the library's own class, which is code and therefore
refused. Load such a file there and save ``{"cfg": vars(sae.cfg), "state_dict": sae.state_dict()}``."""

from __future__ import annotations

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, DTYPE, HEAD, POSITIVE, TABLE, TEXT, choice, never, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME, Weights
from saelab.sae import SAE

NAME = "transcoder_circuits"
LAYOUT = Layout()  # published under names that say nothing
TENSORS = SAME | {"own_b_in": "b_dec", "b_dec": "b_dec_out"}
FILE_KEYS = {"cfg": TABLE.needed, "state_dict": TABLE.needed}
KEYS = {
    "d_in": COUNT, "d_sae": COUNT, "d_out": COUNT, "expansion_factor": POSITIVE, "dtype": DTYPE,
    "hook_point": TEXT, "out_hook_point": TEXT, "hook_point_head_index": HEAD,
    "is_transcoder": choice((True,)), "is_sparse_connection": never("saelab has no such transcoder"),
} | unused(
    "hook_point_layer out_hook_point_layer dataset_path is_dataset_tokenized use_cached_activations "
    "cached_activations_path n_batches_in_buffer total_training_tokens store_batch_size device seed "
    "sparse_connection_sae_path sparse_connection_l1_coeff sparse_connection_use_W_enc b_dec_init_method "
    "from_pretrained_path l1_coefficient lr lr_scheduler_name lr_warm_up_steps train_batch_size use_ghost_grads "
    "feature_sampling_window feature_sampling_method resample_batches feature_reinit_scale dead_feature_window "
    "dead_feature_estimation_method dead_feature_threshold log_to_wandb wandb_project wandb_entity "
    "wandb_log_frequency n_checkpoints checkpoint_path use_tqdm tokens_per_buffer run_name"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    state = src.tensors(path).get("state_dict") if path is not None else None
    return isinstance(state, dict) and "b_dec_out" in state


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    whole = src.table(src.tensors(path), path, FILE_KEYS)
    if not isinstance(whole["cfg"], dict) or not isinstance(whole["state_dict"], dict):
        raise SaelabError(f"{path} must hold 'cfg' and 'state_dict', both of them tables")
    config = src.table(whole["cfg"], f"'cfg' in {path}", KEYS)
    w = Weights(whole["state_dict"], path, src.obstacles)
    w.expect(str(config.where), **{axis: config[axis] for axis in ("d_in", "d_sae", "d_out")})
    if config["expansion_factor"] and config["d_in"]:
        w.expect(str(config.where), d_sae=int(config["d_in"] * config["expansion_factor"]))
    return assemble(
        src, w, w.map(TENSORS, out="d_out"), NAME, arch="relu", input_bias="own",
        hook_in=config["hook_point"], hook_out=config["out_hook_point"], dtype=config["dtype"] or "float32",
    )  # fmt: skip
