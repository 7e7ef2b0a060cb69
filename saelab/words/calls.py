"""Any language model that can be asked: its answers kept on disk, counted, and asked for side by side."""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from saelab import files, identity
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, called, check_count, check_number, check_text

Messages = list[dict[str, str]]  # as of the OpenAI protocol: {"role": "system" or "user", "content": text}

LONGEST = 20_000  # characters of an answer; a longer one is a failure
_IN_A_ROW = 5  # calls that raise one after another until the work is stopped
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_JOINERS = "\u200c\u200d"  # of emoji, and of scripts that need them
_KNOWN = ("prompt_tokens", "completion_tokens", "probabilities")  # of a reply, beside its text
_COST = ("calls", "cached", "failed", "prompt_tokens", "completion_tokens", "seconds")
_FORM = {
    "messages": list,
    "answer": str,
    "seconds": float,
    "prompt_tokens": (float, type(None)),
    "completion_tokens": (float, type(None)),
}


class Unusable(SaelabError):
    """Of an answer that came and is none, as against a call that failed."""


class Reply(str):
    """An answer, with what is known beside its text.

    Attributes
    ----------
    prompt_tokens, completion_tokens
        How many were read and written; None where that is not known.
    probabilities
        P(1) / (P(0) + P(1)) at each place where the answer has a 0 or a 1; empty where that is not known.

    Examples
    --------
    >>> sl.words.Reply("[1, 0]", 120, 6, [0.9, 0.2]).probabilities
    (0.9, 0.2)
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    probabilities: tuple[float, ...]

    def __new__(
        cls, text: str, prompt_tokens: int | None = None, completion_tokens: int | None = None,
        probabilities: Iterable[float] | None = (),
    ) -> Reply:  # fmt: skip
        reply = super().__new__(cls, check_text("text", text))
        given: Any = () if probabilities is None else probabilities
        try:
            counts = zip(_KNOWN, (prompt_tokens, completion_tokens), strict=False)
            both = [n if n is None else check_count(name, n, 0) for name, n in counts]
            if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
                raise SaelabError(f"probabilities must be numbers from 0 to 1, got {called(given)}")
            reply.probabilities = tuple(float(check_number("probabilities", p, 0, 1)) for p in given)
        except SaelabError as error:
            raise Unusable(str(error)) from None
        reply.prompt_tokens, reply.completion_tokens = both
        return reply


@dataclass(frozen=True)
class Answer:
    """What one call came to: the value that was read from the answer, or why there is none; and its cost."""

    value: Any = None
    failed: str = ""
    cached: bool = False
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def tokens(self) -> float:
        """Read and written; NaN where that is not known."""
        both = self.prompt_tokens, self.completion_tokens
        return float("nan") if None in both else float(sum(both))  # type: ignore[arg-type]


@door
class LLM:
    """A language model that is asked, and what that took.

    Parameters
    ----------
    ask
        Any function from messages (``[{"role": …, "content": …}, …]``) to the text of the answer:
        :class:`saelab.words.Endpoint`, :class:`saelab.words.Local`, or your own. An exception is a failed call.
    name
        What it is called where its work is shown, and by which kept answers are found again; None takes the function's own.
    path
        A folder that keeps every answer. A call that is made again is answered from there, so work that was broken off
        goes on where it was.
    workers
        Calls that run at the same time.

    Attributes
    ----------
    cost
        Calls, those of them answered from ``path``, failures, tokens, seconds. What was kept counts as when it was made.
    apart
        way -> how far its scores of that way tell right explanations from wrong ones, by
        :func:`saelab.words.check_judge`; empty before.

    Examples
    --------
    >>> llm = sl.words.LLM(lambda messages: "[1, 0]", name="constant")
    >>> found = sl.words.score(sl.words.explain(index, [latent], by="tokens"), llm, batch=2, progress=False)
    >>> llm.cost["calls"] > 0
    True
    """

    def __init__(
        self, ask: Callable[[Messages], str], *, name: str | None = None, path: str | Path | None = None, workers: int = 1
    ):  # fmt: skip
        own = getattr(ask, "name", None) or getattr(ask, "__name__", "<lambda>")
        if path is not None and name is None and own == "<lambda>":
            raise SaelabError("kept answers are found again by the function's name: give it one, name=…")
        self._ask, self.name, self._whole_name = ask, clean(name or str(own), 100), name or str(own)
        self.path = None if path is None else Path(path)
        self.workers = check_count("workers", workers, high=256)
        self.apart: dict[str, float] = {}
        self.cost: dict[str, float] = dict.fromkeys(_COST, 0)
        self._guard, self._stopped = threading.Lock(), threading.Event()
        self._running = 0

    def stop(self) -> None:
        """Ask nothing more: the work that runs, in a cell or a thread, ends with an error; where none runs, the next.
        Answers given so far are kept.

        >>> sl.words.LLM(str, name="any").stop()
        """
        self._stopped.set()

    @contextmanager
    def _at_work(self) -> Generator[None]:
        """A stop holds for all work that runs, or else for the next."""
        with self._guard:
            self._running += 1
        try:
            yield
        finally:
            with self._guard:
                self._running -= 1
                if not self._running:
                    self._stopped.clear()

    def _one(self, messages: Messages, read: Callable[[Reply], Any]) -> tuple[Answer, bool]:
        if self._stopped.is_set():
            raise SaelabError(
                f"{self.name} was stopped; what it had answered is {'kept' if self.path else 'lost'}"
            )
        value, failed, raised, begun = None, "", False, perf_counter()
        kept = self._kept(messages)
        reply, seconds = kept or (None, 0.0)
        try:
            if reply is None:
                reply = _reply(self._ask([dict(m) for m in messages]))
                seconds = perf_counter() - begun
                self._keep(messages, reply, seconds)
        except Unusable as error:  # it answered
            failed = str(error)
        except SaelabError:
            raise
        except Exception as error:  # whatever a server or a user's function raises
            raised, failed = True, _said(error)
        else:
            try:
                value = read(_spoken(reply))
            except ValueError as error:
                failed = clean(str(error)) or "it could not be read"
        tokens = [getattr(reply, name, None) for name in ("prompt_tokens", "completion_tokens")]
        answer = Answer(value, failed, kept is not None, seconds or perf_counter() - begun, *tokens)
        with self._guard:
            new = (1, answer.cached, bool(failed), *(t or 0 for t in tokens), answer.seconds)
            self.cost = {name: self.cost[name] + n for name, n in zip(_COST, new, strict=True)}
        return answer, raised

    # ------------------------------------------------------------------------------------------ kept answers

    def _file(self, messages: Messages) -> Path:
        assert self.path is not None
        asked = [self._whole_name, getattr(self._ask, "settings", ""), messages]
        key = identity.digest(json.dumps(asked, sort_keys=True).encode())
        return self.path / key[:2] / f"{key}.json"

    def _kept(self, messages: Messages) -> tuple[Reply, float] | None:
        if self.path is None or not (file := self._file(messages)).is_file() or not file.stat().st_size:
            return None  # an empty file: the machine stopped while it was written
        found = files.read_json(file, _FORM)
        files.check_form(file, found.get("probabilities") or [], [float], "probabilities")
        with files.reading(file):
            return Reply(found["answer"], *(found.get(name) for name in _KNOWN)), found["seconds"]

    def _keep(self, messages: Messages, reply: Reply, seconds: float) -> None:
        if self.path is None:
            return
        found = {"name": self.name, "messages": messages, "answer": str(reply), "seconds": seconds}
        found |= {name: getattr(reply, name) for name in _KNOWN}
        files.write_json(self._file(messages), found, checked=True)

    # ------------------------------------------------------------------------------------------------- show

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {value:,.4g}" for name, value in self.cost.items())
        return f"LLM {self.name}: {said}; {self.judged()}"

    def judged(self, way: str = "detection") -> str:
        """What is known of it as a judge of one way, in words.

        >>> sl.words.LLM(str, name="any").judged()
        'not checked as a judge'
        """
        apart = self.apart.get(way, float("nan"))
        if apart != apart:
            return f"not checked as a judge{f' of {way}' if self.apart else ''}"
        most = 1.0 if way == "simulation" else 0.5  # a correlation; balanced accuracy above 0.5
        # wrong ones can be below chance by luck: more than all of it is all of it
        by = f"by {min(abs(apart), most):.2f} of {most:g}"
        if apart < 0:
            return f"which scores right explanations below wrong ones, {by}"
        return f"which tells right from wrong explanations {by}"


def _reply(answer: Any) -> Reply:
    """An answer, whatever a function gave; Unusable says why it is none."""
    if not isinstance(answer, str):
        raise Unusable(f"the answer is no text but {called(answer)}")
    if len(answer) > LONGEST:
        raise Unusable(f"the answer has {len(answer):,} characters; up to {LONGEST:,} are read")
    text = str(answer).encode("utf-8", "replace").decode()  # halves of characters could not be kept
    return Reply(text, *(getattr(answer, name, None) for name in _KNOWN))


def _spoken(reply: Reply) -> Reply:
    """Without what a model thinks before it answers, also where the thought is cut off."""
    text = _THOUGHT.sub("", reply)
    return reply if text == reply else Reply(text, *(getattr(reply, name) for name in _KNOWN))


def _said(error: Exception) -> str:
    try:
        return clean(f"{type(error).__name__}: {error}")
    except Exception:  # of a user's own kind of error
        return type(error).__name__


def llm_of(thing: Any, name: str) -> LLM:
    """``thing``, which may be a function alone."""
    if not isinstance(thing, LLM) and not callable(thing):
        raise SaelabError(f"{name} must be a function from messages to text, or an LLM; got {called(thing)}")
    return thing if isinstance(thing, LLM) else LLM(cast(Any, thing))


def ask_all(
    llm: LLM, work: Sequence[tuple[Messages, Callable[[Reply], Any]]], *, desc: str = "asked", progress: bool = True
) -> list[Answer]:  # fmt: skip
    """Ask every prompt and read every answer; what its reader refuses (ValueError) is a failure, and counted.

    Raises
    ------
    SaelabError
        If five calls in a row raise, :meth:`LLM.stop` was called, or the function says that no call can succeed (it raises
        a SaelabError). Answers given before are kept where there is a ``path``.
    """
    out, in_a_row = [Answer()] * len(work), 0
    bar = Bar(total=len(work), desc=desc, unit="call", delay=1, disable=not progress)
    with llm._at_work(), bar, closing(_each(llm, work)) as done:
        for i, (answer, raised) in done:
            out[i], in_a_row = answer, in_a_row + 1 if raised else 0
            if in_a_row >= _IN_A_ROW:
                llm._stopped.set()
                raise SaelabError(
                    f"{_IN_A_ROW} calls of {llm.name} failed in a row; the last: {answer.failed}"
                )
            bar.update()
    return out


def _each(
    llm: LLM, work: Sequence[tuple[Messages, Callable[[Reply], Any]]]
) -> Generator[tuple[int, tuple[Answer, bool]]]:
    """The number of each piece of work and what came of it, as they are done."""
    if llm.workers == 1:  # in this thread: the interrupt of a notebook reaches it
        yield from ((i, llm._one(*w)) for i, w in enumerate(work))
        return
    pool, waits = ThreadPoolExecutor(llm.workers, thread_name_prefix="saelab-words"), True
    try:
        todo: dict[Future[Any], int] = {pool.submit(llm._one, *w): i for i, w in enumerate(work)}
        for future in as_completed(todo):
            yield todo[future], future.result()
    except KeyboardInterrupt:  # what runs is let run, and kept
        waits = False
        raise
    finally:  # else what runs is waited for: asked again at once, it would be asked twice
        pool.shutdown(wait=waits, cancel_futures=True)


def clean(text: str, most: int = 300) -> str:
    """One line of text for the eye: no control characters, nothing that changes the direction of what follows, cut."""
    text = text[: 4 * most]
    odd = {c for c in text if unicodedata.category(c)[0] in "CZ"} - set(_JOINERS)  # controls, directions
    text = " ".join(text.translate(dict.fromkeys(map(ord, odd), " ")).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
