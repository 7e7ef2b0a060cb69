"""Train the zoo's tokenizer and its one-layer model on the generated corpus.

The model has the shape of "Towards Monosemanticity" (Bricken et al. 2023): one transformer block whose MLP
has 512 ReLU neurons. Those are the activations its bundled SAE decomposes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import files
from saelab.zoo import corpus

# users' seeds are small numbers: what the model was trained on stays apart from what it is looked at with; a model of
# another seed reads other documents
_APART = 10
TOKENIZER_SEED, MODEL_SEED, HELD_OUT_SEED = 1_000_001, 1_000_002, 1_000_003
BOS = "<|bos|>"

# nucleotides in threes, as ribosomes read them; words and digits with the space before; signs; newlines
_PIECES = (
    r"[ACGT]{3}(?=[ACGT]{3}|[ACGT]{0,2}(?:\s|$))| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Settings:
    """How the tokenizer and the model are trained."""

    vocab: int = 3072
    tokenizer_documents: int = 60_000
    d_model: int = 128
    n_heads: int = 4
    d_mlp: int = 512
    context: int = 128
    steps: int = 6_000
    batch_tokens: int = 2_560
    learning_rate: float = 3e-3
    warmup: int = 200
    weight_decay: float = 0.01
    seed: int = 0


# half as wide, with a tokenizer of its own: whether features are the same can be asked of two models, with truth
TWIN = Settings(vocab=2048, d_model=64, d_mlp=256, steps=4_000, seed=1)
QUICK = Settings(vocab=1024, tokenizer_documents=1_500, steps=40, batch_tokens=2_048, warmup=5)


def train_tokenizer(settings: Settings) -> Any:
    """Byte-level BPE; ``<|bos|>`` (id 0) begins a text, ends it, and fills up.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab,
        special_tokens=[BOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=24,
        show_progress=False,
    )
    # pairs of letters that base64 makes by chance would take the places of words
    genres = [g for g in corpus.GENRES if g != "base64"]
    texts = corpus.texts(
        settings.tokenizer_documents, seed=TOKENIZER_SEED + _APART * settings.seed, genres=genres
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=BOS,
        pad_token=BOS,
        clean_up_tokenization_spaces=False,
        model_max_length=settings.context,
    )


def new_model(settings: Settings, vocab: int) -> Any:
    """An untrained GPT-2-shaped model of one block."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab,
        n_positions=settings.context,
        n_embd=settings.d_model,
        n_layer=1,
        n_head=settings.n_heads,
        n_inner=settings.d_mlp,
        activation_function="relu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return GPT2LMHeadModel(config)


def rows(tokenizer: Any, context: int, *, seed: int, chunk: int = 4096) -> Iterator[list[list[int]]]:
    """Chunks of rows ``[BOS, tokens…]`` that never mix documents; the last row of a document ends in BOS too,
    which is only ever predicted, never read."""
    encode, texts = tokenizer.backend_tokenizer.encode_batch, corpus.texts(seed=seed)
    while True:
        part = []
        for encoding in encode(list(itertools.islice(texts, chunk)), add_special_tokens=False):
            ids = [*encoding.ids, 0]
            # BOS takes one place of the context, and the last token of a row is a target only
            part.extend([0, *ids[i : i + context]] for i in range(0, len(ids) - 1, context - 1))
        yield part


def batches(tokenizer: Any, settings: Settings, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (ids (B, T), targets (B, T)), padded on the right; targets there are -100."""
    rng = np.random.default_rng(settings.seed)
    for part in rows(tokenizer, settings.context, seed=seed):
        part.sort(key=len)
        groups, i = [], 0
        while i < len(part):
            j = i + 1
            while j < len(part) and (len(part[j]) - 1) * (j + 1 - i) <= settings.batch_tokens:
                j += 1
            groups.append(part[i:j])
            i = j
        # rows of similar length share a batch; the order of the batches is shuffled
        for g in rng.permutation(len(groups) - 1):
            yield _padded(groups[g])


def _padded(group: list[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(map(len, group)) - 1
    ids = torch.zeros(len(group), width, dtype=torch.long)
    targets = torch.full((len(group), width), -100)
    for r, row in enumerate(group):
        ids[r, : len(row) - 1] = torch.tensor(row[:-1])
        targets[r, : len(row) - 1] = torch.tensor(row[1:])
    return ids, targets


class _CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of ``hidden @ weight.T``, a thousand rows at a time.

    The logits of one chunk stay in the processor's cache and turn into their own gradient in place; with
    autograd the (tokens, vocabulary) arrays cost more than the rest of the model.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        loss, n = hidden.new_zeros(()), len(hidden)
        for i in range(0, n, 1024):
            h, y = hidden[i : i + 1024], targets[i : i + 1024, None]
            logits = h @ weight.T  # (1024, V)
            logits -= logits.amax(-1, keepdim=True)
            picked = logits.gather(1, y)
            total = logits.exp_().sum(-1, keepdim=True)
            loss += (total.log() - picked).sum()
            logits /= total
            logits.scatter_add_(1, y, logits.new_full((1, 1), -1.0).expand_as(y))
            torch.mm(logits, weight, out=d_hidden[i : i + 1024])
            d_weight.addmm_(logits.T, h)
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.n = n
        return loss / n

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, None]:
        d_hidden, d_weight = ctx.saved_tensors
        scale = grad[0] / ctx.n
        return d_hidden * scale, d_weight * scale, None


def loss_of(model: Any, ids: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the targets that count (those that are not -100)."""
    hidden = model.transformer(ids, use_cache=False).last_hidden_state  # (B, T, d)
    keep = targets >= 0
    return _CrossEntropy.apply(hidden[keep], model.lm_head.weight, targets[keep])  # type: ignore[return-value]


def train_model(tokenizer: Any, settings: Settings, *, progress: bool = True) -> tuple[Any, list[float]]:
    """Train from scratch; returns the model in float32 and the loss of every step."""
    from saelab.display import Bar

    model = new_model(settings, len(tokenizer))
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-9,
        fused=True,
    )

    def rate(step: int) -> float:
        if step < settings.warmup:
            return (step + 1) / settings.warmup
        done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
        return 0.02 + 0.49 * (1 + math.cos(math.pi * done))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    history: list[float] = []
    stream = batches(tokenizer, settings, seed=MODEL_SEED + _APART * settings.seed)
    model.train()
    with Bar(total=settings.steps, desc="zoo model", disable=not progress) as bar:
        for ids, targets in itertools.islice(stream, settings.steps):
            loss = loss_of(model, ids, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            history.append(loss.item())
            bar.update()
            if len(history) % 50 == 0:
                bar.set_postfix(loss=f"{np.mean(history[-50:]):.3f}")
    return model.eval(), history


def held_out_loss(model: Any, tokenizer: Any, settings: Settings, n: int = 40) -> float:
    """Mean loss in nats a token on documents the model was not trained on."""
    total = count = 0.0
    with torch.no_grad():
        for ids, targets in itertools.islice(batches(tokenizer, settings, seed=HELD_OUT_SEED), n):
            kept = int((targets >= 0).sum())
            total += float(loss_of(model, ids, targets)) * kept
            count += kept
    return total / count


def save_model(model: Any, tokenizer: Any, folder: Path, record: dict[str, Any]) -> None:
    """Write a Hugging Face folder with weights in half precision; ``config.json`` says float32, so that it
    is loaded as float32."""
    import copy

    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(model).half().save_pretrained(folder)
    config = files.read_json(folder / "config.json")
    config["dtype"] = "float32"
    files.write_json(folder / "config.json", config)
    tokenizer.save_pretrained(folder)
    about = files.read_json(folder / "tokenizer_config.json")
    # the name that every version of transformers knows
    files.write_json(
        folder / "tokenizer_config.json", {**about, "tokenizer_class": "PreTrainedTokenizerFast"}
    )
    for path in folder.iterdir():
        path.chmod(0o644)  # weights are written readable by their owner only
    files.write_json(folder / "training.json", record)


def sample(
    model: Any, prompts: list[list[int]], *, new_tokens: int, seed: int, temperature: float = 1.0
) -> list[list[int]]:
    """Continue each prompt (ids with BOS, all of one length) until BOS; returns the new ids."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor(prompts)  # (B, T)
    start = ids.shape[1]
    with torch.no_grad():
        for _ in range(new_tokens):
            hidden = model.transformer(ids, use_cache=False).last_hidden_state  # (B, T, d)
            p = torch.softmax(model.lm_head(hidden[:, -1]) / temperature, -1)  # (B, V)
            ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)], 1)
    new = ids[:, start:].tolist()
    return [row[: row.index(0)] if 0 in row else row for row in new]
