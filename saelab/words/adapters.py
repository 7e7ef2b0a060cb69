"""Two ways to ask: a server that speaks the OpenAI protocol, and a model in this process.

Anything else is a function of your own, for instance around a client library that knows your proxy:
``lambda messages: client.chat.completions.create(model=…, messages=messages).choices[0].message.content``.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import math
import os
import re
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from saelab import identity, models
from saelab.doors import door
from saelab.errors import SaelabError, called, check_count, check_number
from saelab.words.calls import Messages, Reply, Unusable, clean

_BODY = 4 << 20  # bytes of an answer that are read
_WAIT = 60.0  # seconds that a server may ask us to wait; a longer wait is a failure
_ALTERNATIVES = (
    200  # tokens of a model in this process among which 0 and 1 are looked for: who is sure has one far down
)
# how keys begin, or long ones of digits and small letters; and what may hold one in an address
_KEY = re.compile(r"(?:hf|sk|gsk|pk|xai|ghp|nvapi|r8)_|AIza|(?=.*[a-z])(?=.*[0-9]).{24}", re.DOTALL)
_SHOWN = re.compile(r"(?<=//)[^/]*@|(?<=[?#]).*", re.DOTALL)
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_NEVER = (401, 403, 404, 405)  # the next call would fare no better


@door
class Endpoint:
    """A server that speaks the OpenAI protocol (vLLM, Ollama, llama.cpp, LM Studio, OpenAI and others).

    Nothing is sent but the prompts; nothing is stored here. No proxy is used.

    Parameters
    ----------
    base_url
        Such as ``"http://localhost:11434/v1"``.
    model
        The server's name of the model.
    key
        The *name* of the environment variable that holds the key, such as ``"OPENAI_API_KEY"``; None sends none. The key is
        read when a call is made, and is never stored or shown.
    temperature, max_tokens
        Sent with each call; ``temperature=None`` sends none, for models that take none.
    probabilities
        Ask for log-probabilities, from which AUROC is made; not every server has them.
    timeout
        Seconds that a whole call may take, however slowly the answer comes.
    retries
        How often a call is made again that found no connection, took too long, or got 429 or 5xx. ``Retry-After`` is
        followed up to a minute.

    Raises
    ------
    SaelabError
        When it is called: the server refuses the call itself (a wrong key, model or setting), so that no call can succeed.

    Examples
    --------
    >>> llm = sl.words.LLM(sl.words.Endpoint("http://localhost:11434/v1", "qwen3:8b"), path=folder / "answers", workers=4)
    >>> llm.name
    'qwen3:8b'
    """

    def __init__(
        self, base_url: str, model: str, *, key: str | None = None, temperature: float | None = 0.0, max_tokens: int = 512,
        probabilities: bool = False, timeout: float = 120.0, retries: int = 4,
    ):  # fmt: skip
        try:
            url = urlsplit(base_url.rstrip("/"))
            port, fits = url.port, url.scheme in ("http", "https") and url.hostname
        except ValueError:
            url, port, fits = urlsplit(""), None, False
        if not fits or url.query or url.fragment:
            raise SaelabError(
                f"base_url must be like 'http://localhost:11434/v1', got {clean(_SHOWN.sub('…', base_url), 80)!r}"
            )
        if url.username or url.password:
            raise SaelabError(
                "base_url must hold no password: name the variable of the environment that does, key=…"
            )
        name = key is None or (
            re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,63}", key) and (key in os.environ or not _KEY.match(key))
        )
        if not name:
            raise SaelabError(
                "key is the name of an environment variable, such as 'OPENAI_API_KEY', not the key itself"
            )
        self._url, self._port, self.key = url, port, key
        self.name, self.timeout = model, check_number("timeout", timeout, 0, 3600, open_low=True)
        self.retries = check_count("retries", retries, 0, 20)
        self._body: dict[str, Any] = {"model": model, "max_tokens": check_count("max_tokens", max_tokens)}
        if temperature is not None:
            self._body["temperature"] = check_number("temperature", temperature, 0, 2)
        if probabilities:
            self._body |= {"logprobs": True, "top_logprobs": 5}
        self.settings = json.dumps([url.geturl(), self._body])

    def __repr__(self) -> str:
        return f"Endpoint({self._url.geturl()!r}, {self.name!r}, key={self.key!r})"

    def __call__(self, messages: Messages) -> Reply:
        for attempt in range(self.retries + 1):
            wait, last = min(2.0**attempt, 30.0) / 2, attempt == self.retries
            try:
                status, retry_after, body = self._post(
                    json.dumps(self._body | {"messages": messages}).encode()
                )
            except (OSError, http.client.HTTPException) as error:
                if last:
                    raise ConnectionError(self._hidden(f"{type(error).__name__}: {error}")) from None
            else:
                if status == 200:
                    kind = json.detect_encoding(body)  # as json.loads reads it
                    said = body.decode(kind, "surrogateescape" if kind.startswith("utf-8") else "replace")
                    whole = self._hidden(said, 8)
                    return _reply(whole.encode("utf-8", "surrogateescape"))
                read = clean(self._hidden(body.decode("utf-8", "replace")))
                said = f"{status} {http.client.responses.get(status, '')}: {read}"
                if status in _NEVER:
                    raise SaelabError(f"{self._url.netloc} refuses calls of {self.name!r}: {said}")
                wait = wait if retry_after is None else retry_after
                if last or status not in _AGAIN or wait > _WAIT:
                    raise ConnectionError(said)
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _secret(self) -> str | None:
        if self.key is None:
            return None
        if not (secret := os.environ.get(self.key, "").strip()):
            raise SaelabError(f"the environment has no variable {self.key!r} with the key")
        if not secret.isascii() or not secret.isprintable():
            raise SaelabError(
                f"what the variable {self.key!r} holds is no key: it has characters that none has"
            )
        return secret

    def _hidden(self, said: str, least: int = 1) -> str:
        """Without the key, also where it is escaped as in JSON or an address; a shorter one than ``least`` is a word."""
        if len(secret := self._secret() or "") < least:
            return said
        every = [rf"(?:\\?{re.escape(c)}|(?i:%{ord(c):02x}|\\u{ord(c):04x}))" for c in secret]
        half = max(len(every) // 2, 8)  # a server may show its beginning
        return re.sub(f"{''.join(every[:half])}(?:{''.join(every[half:])}|[\\w-]*)", "(key)", said)

    def _post(self, body: bytes) -> tuple[int, float | None, bytes]:
        """Status, seconds to wait, and body; the whole of it within the timeout."""
        secret = self._secret()
        headers = {"Content-Type": "application/json", "User-Agent": "saelab"}
        headers |= {"Authorization": f"Bearer {secret}"} if secret else {}
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(self._url.hostname), self._port, timeout=self.timeout)
        late = threading.Event()
        try:
            connection.connect()
            sock: Any = connection.sock

            def cut() -> None:  # a socket's own timeout begins anew with every byte
                late.set()
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

            alarm = threading.Timer(self.timeout, cut)
            alarm.daemon = True
            alarm.start()
            try:
                connection.request("POST", f"{self._url.path}/chat/completions", body, headers)
                response = connection.getresponse()
                content = response.read(_BODY + 1)
            finally:
                alarm.cancel()
            if late.is_set() or (response.length and len(content) <= _BODY):
                raise http.client.IncompleteRead(b"", response.length)
        except (OSError, http.client.HTTPException):
            if not late.is_set():
                raise
            raise TimeoutError(f"no whole answer within {self.timeout:g} seconds") from None
        finally:
            connection.close()
        if len(content) > _BODY:
            raise Unusable(f"the answer has more than {_BODY:,} bytes")
        return response.status, _seconds(response.headers.get("Retry-After")), content


def _seconds(retry_after: str | None) -> float | None:
    """Of a Retry-After header: seconds, or a date."""
    for read in (float, lambda date: email.utils.parsedate_to_datetime(date).timestamp() - time.time()):
        with contextlib.suppress(ValueError, TypeError):
            seconds = read(retry_after or "")
            return max(0.0, seconds) if math.isfinite(seconds) else None
    return None


def _reply(body: bytes) -> Reply:
    """The text of an answer, with tokens and probabilities; Unusable says what is malformed."""
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise Unusable(
            f"not of the OpenAI protocol: {clean(body[:400].decode('utf-8', 'replace'), 120)!r}"
        ) from None
    if not isinstance(text, str):
        raise Unusable(f"no text in the answer: {clean(str(choice['message'].get('refusal') or text), 120)}")
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    counts = [usage.get(k) for k in ("prompt_tokens", "completion_tokens")]
    counts = [c if isinstance(c, int) and 0 <= c < 1 << 40 else None for c in counts]
    try:
        steps = (choice.get("logprobs") or {}).get("content") or []
        given = [
            [(t["token"], float(t["logprob"])) for t in s["top_logprobs"]]
            for s in steps
            if _binary(s["token"])
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        given = []
    return Reply(text, counts[0], counts[1], map(_one_of_two, given))


def _binary(token: str) -> bool:
    return token.strip(" [],\n") in ("0", "1")


def _one_of_two(alternatives: list[tuple[str, float]]) -> float:
    """P(1) / (P(0) + P(1)) from log-probabilities of the alternatives at one place."""
    p = [sum(math.exp(min(v, 0.0)) for t, v in alternatives if t.strip(" [],\n") == digit) for digit in "01"]
    return p[1] / sum(p) if sum(p) > 0 else 0.5


@door
class Local:
    """A language model in this process: of transformers (a pipeline, or a model and its tokenizer), or of ``load_model``.

    It answers with the most probable text, so the same prompt gets the same answer, and says probabilities.

    Examples
    --------
    >>> reply = sl.words.Local(model, max_tokens=4)([{"role": "user", "content": "fox"}])
    >>> reply.completion_tokens
    4
    """

    def __init__(self, model: Any, tokenizer: Any = None, *, max_tokens: int = 64, name: str | None = None):
        self._lock = threading.RLock()
        if hasattr(model, "hook_dict") and hasattr(model, "original_model"):
            self._lock, tokenizer = models.lock(model), model.tokenizer if tokenizer is None else tokenizer
            name, model = name or model.cfg.model_name, model.original_model
        elif (
            hasattr(model, "model") and hasattr(model, "tokenizer") and not hasattr(model, "generate")
        ):  # a pipeline
            model, tokenizer = model.model, model.tokenizer if tokenizer is None else tokenizer
        if not hasattr(model, "generate") or not hasattr(model, "config"):
            raise SaelabError(
                f"model must be one that writes, or a pipeline of transformers; got {called(model)}"
            )
        if not hasattr(tokenizer, "decode") or not callable(tokenizer):
            raise SaelabError(f"tokenizer must be that of the model, got {called(tokenizer)}")
        self._model, self._tokenizer, self._most = model, tokenizer, check_count("max_tokens", max_tokens)
        template = str(getattr(tokenizer, "chat_template", None))
        self.settings = json.dumps([max_tokens, identity.model_digest(model), template])
        self.name = str(name or getattr(model.config, "_name_or_path", "") or type(model).__name__)

    def __call__(self, messages: Messages) -> Reply:
        import torch

        tokenizer, model = self._tokenizer, self._model
        if getattr(tokenizer, "chat_template", None):
            told: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
            ids = told["input_ids"]
        else:
            read: Any = tokenizer("\n\n".join(m["content"] for m in messages) + "\n")
            ids = read["input_ids"]
        room = getattr(model.config, "max_position_embeddings", None) or len(ids) + self._most
        if len(ids) >= room:
            raise Unusable(f"the prompt has {len(ids):,} tokens, and {self.name} reads and writes {room:,}")
        given = torch.tensor([list(ids)], device=model.device)
        end = tokenizer.eos_token_id
        with self._lock, torch.no_grad():
            out = model.generate(
                input_ids=given, attention_mask=torch.ones_like(given),
                max_new_tokens=min(self._most, room - len(ids)), do_sample=False, temperature=None, top_p=None, top_k=None,
                output_scores=True, return_dict_in_generate=True, pad_token_id=0 if end is None else end,
            )  # fmt: skip
        written = out.sequences[0, len(ids) :].tolist()
        probabilities = []
        for token, scores in zip(written, out.scores, strict=False):
            if _binary(tokenizer.decode([token])):
                found = scores[0].float().log_softmax(-1)
                best = found.topk(min(_ALTERNATIVES, len(found)))
                places = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                probabilities.append(_one_of_two([(tokenizer.decode([i]), v) for i, v in places]))
        text = tokenizer.decode(written, skip_special_tokens=True)
        return Reply(text, len(ids), len(written), probabilities)
