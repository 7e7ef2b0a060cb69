"""One module per published format; see :class:`saelab.formats.format.Format`."""

from __future__ import annotations

from saelab.formats.format import Format, Writable
from saelab.formats.readers import (
    batchtopk_code,
    circuit_tracer,
    circuit_tracer_clt,
    crosscoder,
    dictionary_learning,
    e2e_sae,
    gemma_scope,
    gemma_scope_2,
    goodfire,
    linear_pair,
    llama_scope,
    llamascopium,
    native,
    numbered,
    openai,
    qwen_scope,
    saelens,
    sparsify,
    transcoder_circuits,
)

WRITERS: tuple[Writable, ...] = (native, saelens, sparsify, dictionary_learning, openai)
# also the order in which they are asked whether files are theirs
FORMATS: tuple[Format, ...] = (
    *WRITERS,
    gemma_scope,
    gemma_scope_2,
    llama_scope,
    goodfire,
    qwen_scope,
    transcoder_circuits,
    circuit_tracer,
    circuit_tracer_clt,
    crosscoder,
    llamascopium,
    numbered,
    batchtopk_code,
    e2e_sae,
    linear_pair,
)
