"""Language models: load one, name its hook points, run it to one, and read its tokens.

from saelab import models
model = models.load_model("zoo")
models.hook_names(model); models.tokenize(model, "GET / HTTP/1.1")
"""

from saelab import identity
from saelab.models.hooks import HookedModel as HookedModel
from saelab.models.hooks import HookFn as HookFn
from saelab.models.hooks import check_finite as check_finite
from saelab.models.hooks import check_hook as check_hook
from saelab.models.hooks import check_ids as check_ids
from saelab.models.hooks import check_predicts as check_predicts
from saelab.models.hooks import device as device
from saelab.models.hooks import forward as forward
from saelab.models.hooks import hook_layer as hook_layer
from saelab.models.hooks import hook_names as hook_names
from saelab.models.hooks import hook_width as hook_width
from saelab.models.hooks import hooked as hooked
from saelab.models.hooks import lock as lock
from saelab.models.hooks import model_name as model_name
from saelab.models.hooks import predicts_next as predicts_next
from saelab.models.hooks import run_to_hooks as run_to_hooks
from saelab.models.load import load_model as load_model
from saelab.models.rows import Batch as Batch
from saelab.models.rows import TokenRows as TokenRows
from saelab.models.rows import checked_rows as checked_rows
from saelab.models.rows import parse_tokens as parse_tokens
from saelab.models.rows import rows_from as rows_from
from saelab.models.rows import stream_rows as stream_rows
from saelab.models.rows import tokenize_texts as tokenize_texts
from saelab.models.rows import valid_mask as valid_mask
from saelab.models.tokens import Text as Text
from saelab.models.tokens import Texts as Texts
from saelab.models.tokens import bos_id as bos_id
from saelab.models.tokens import context_length as context_length
from saelab.models.tokens import decode as decode
from saelab.models.tokens import default_bos as default_bos
from saelab.models.tokens import each_text as each_text
from saelab.models.tokens import eos_id as eos_id
from saelab.models.tokens import one_text as one_text
from saelab.models.tokens import special_ids as special_ids
from saelab.models.tokens import text_ids as text_ids
from saelab.models.tokens import token_bytes as token_bytes
from saelab.models.tokens import token_groups as token_groups
from saelab.models.tokens import token_labels as token_labels
from saelab.models.tokens import tokenize as tokenize
from saelab.models.tokens import vocab_size as vocab_size
from saelab.models.tokens import vocabulary as vocabulary

digest = identity.model_digest
identity.of_tokenizer = vocabulary
