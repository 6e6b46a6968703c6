"""Language models from GGUF files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from girih import _girih
from girih._devices import resolve


class Answer:
    """What a model writes: iterate over it for the pieces as they come, or take `text` for all of it.

    Letting go of it ends the work. After the last piece `finish`, `tokens` and `figures` are there.
    """

    def __init__(self, source: _girih.Answer) -> None:
        self._source = source
        self._pieces: list[str] = []

    def __iter__(self) -> Iterator[str]:
        yield from self._pieces
        for piece in self._source:
            self._pieces.append(piece)
            yield piece

    @property
    def text(self) -> str:
        """The whole answer; waits for its end."""
        for piece in self._source:
            self._pieces.append(piece)
        return "".join(self._pieces)

    @property
    def figures(self) -> dict[str, Any]:
        """Number of prompt tokens, seconds to the first token, tokens per second; waits for the end."""
        return {k: v for k, v in self._result().items() if k not in ("tokens", "finish")}

    @property
    def tokens(self) -> list[int]:
        """The generated tokens, without the stop token; waits for the end."""
        return self._result()["tokens"]

    @property
    def finish(self) -> str:
        """Why it ended: `stop` (by itself), `length`, `context` or `cancelled`; waits for the end."""
        return self._result()["finish"]

    def _result(self) -> dict[str, Any]:
        _ = self.text  # waits for the end
        return self._source.result or {}

    def __str__(self) -> str:
        return self.text


class GGUF:
    """A language model from a GGUF file, open on a device.

    >>> model = girih.GGUF("model.gguf")                                            # doctest: +SKIP
    >>> for piece in model.generate("Why is the sky blue?", max_tokens=100):        # doctest: +SKIP
    ...     print(piece, end="", flush=True)
    """

    def __init__(self, path: str | os.PathLike[str], device: str | None = None, context: int | None = None) -> None:
        """Opens a model. `context` is the number of tokens that prompt and answer share: 2048 or the model's own if that is less.

        The model has memory of its own on the device; plans are compiled when the first prompt needs them, and kept in the cache.
        """
        self._model = _girih.Model(os.fspath(path), resolve(device), context)

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._model.device

    @property
    def architecture(self) -> str:
        """Family of the model, as the file names it."""
        return self._model.architecture

    @property
    def context(self) -> int:
        """Tokens that prompt and answer share."""
        return self._model.context

    def generate(
        self,
        prompt: str | Sequence[Mapping[str, str]],
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        *,
        system: str | None = None,
        raw: bool = False,
    ) -> Answer:
        """Answers a prompt, or a conversation of `{"role": ..., "content": ...}`.

        A text is wrapped in the model's chat template if it has one; `raw=True` continues it as it is. `temperature=0` always takes
        the likeliest token; otherwise the draw is among the `top_k` likeliest (0: all) and the fewest of total probability
        `top_p`, and depends on `seed` only. Answers are written one after the other, in the order they were asked for.
        """
        draw = (max_tokens, temperature, top_k, top_p, seed)
        if isinstance(prompt, str):
            if raw or not (self._model.has_chat_template or system):
                return Answer(self._model.complete(prompt, *draw))
            messages = [("user", prompt)]
        else:
            messages = [(m["role"], m["content"]) for m in prompt]
        if system is not None:
            messages.insert(0, ("system", system))
        return Answer(self._model.chat(messages, *draw))

    def __repr__(self) -> str:
        return f"<girih model {self.architecture}, context {self.context}, on {self.device}>"
