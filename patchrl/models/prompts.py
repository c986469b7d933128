"""How a backbone's chat template writes a turn: the one place that renders. No torch.

Sampling, scoring, every fine-tune, evaluation and the token preview read their token ids from a `ChatFormat`, so that
what is sampled, scored, trained and judged is one row (`Row`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from jinja2 import TemplateError

from patchrl.errors import BackboneError

Turns = list[dict[str, str]]
# (turns, whether the prompt for an answer follows, whether an answer may hold thoughts) -> text
Render = Callable[[Turns, bool, bool], str]

# Private-use characters. ANSWER and QUESTION are placeholders for texts while the template's own text around them is read; two MARKs
# enclose what must not act as a token.
ANSWER, QUESTION, MARK = "\ue000", "\ue001", "\ue002"
DEFAULT_SYSTEM = "You are a helpful assistant."  # only for templates that refuse a conversation without a system turn
OPEN_THOUGHT = re.compile(r"<think>\s*$")
THOUGHT = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)
THOUGHT_TAGS = ("<think>", "</think>")
EMPTY_THOUGHT = "\n</think>\n\n"  # closes a thought that the template has opened


@dataclass(frozen=True)
class Row:
    """Token ids of one question and its answer: the prompt, the completion, and the end of the turn."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    end: tuple[int, ...]

    @property
    def trained(self) -> tuple[int, ...]:
        """All ids of the row as fine-tuning reads them."""
        return self.prompt + self.completion + self.end

    @property
    def labels_from(self) -> int:
        """The position in `trained` from which tokens are learned."""
        return len(self.prompt)

    def training(self, max_length: int) -> dict[str, list[int]]:
        """`input_ids` and `labels`, −100 (which no loss counts) on the prompt, both cut to `max_length` tokens."""
        labels = [-100] * self.labels_from + [*self.completion, *self.end]
        return {"input_ids": [*self.trained][:max_length], "labels": labels[:max_length]}


class ChatFormat:
    """Turns questions and answers into token ids as one backbone's chat template writes them.

    Args:
        encode: Token ids of a text, without tokens of its own around it; the spelling of a special token gives that token.
        render: The chat template, None for a backbone without one.
        acting: Spellings of the tokens that can act as a turn or an end: special ones, and others that the template writes.
        begin: The text before a prompt without a template: the beginning-of-sequence token, or nothing.
        end: Spelling of the tokenizer's end-of-sequence token, None without one.
        thoughts: Whether the text in a think block is part of an answer.

    Raises BackboneError for a template that accepts no user turn, and where no end of a turn can be found.
    """

    def __init__(
        self,
        encode: Callable[[str], list[int]],
        render: Render | None,
        acting: Iterable[str],
        *,
        begin: str = "",
        end: str | None = None,
        thoughts: bool = False,
    ) -> None:
        self._encode, self._template, self._end = encode, render, end
        self.begin, self.thoughts = begin, thoughts
        names = sorted({*acting} - {""}, key=len, reverse=True)
        self._acting = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self._acting_but_thoughts = re.compile(
            "|".join(re.escape(name) for name in names if name not in THOUGHT_TAGS) or r"(?!)"
        )
        self._system: Turns = []
        if render is not None and not self._accepts_a_user_turn():
            self._system = [{"role": "system", "content": DEFAULT_SYSTEM}]
            self._render([{"role": "user", "content": QUESTION}], True)
        if not self.end_ids:
            raise BackboneError(
                "backbone.model: the end of an answer cannot be found, neither in its chat template nor as an "
                "end-of-sequence token of its tokenizer; name a backbone that has one."
            )

    # --- the template ---------------------------------------------------------------------------

    def _accepts_a_user_turn(self) -> bool:
        try:
            self._render([{"role": "user", "content": QUESTION}], True)
        except BackboneError:
            return False
        return True

    def _render(self, turns: Turns, ask: bool) -> str:
        assert self._template is not None
        if turns[0]["role"] != "system":
            turns = self._system + turns
        try:
            return self._template(turns, ask, self.thoughts)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise BackboneError(f"backbone.model: its chat template refuses the conversation: {error}.") from error

    @cached_property
    def _around_answer(self) -> tuple[str, str]:
        """The template's text before and after the answer to a question, in a finished conversation."""
        turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
        before, answer, after = self._render(turns, False).partition(ANSWER)
        if not answer:
            raise BackboneError("backbone.model: its chat template leaves out the assistant's turn.")
        return before, after

    @cached_property
    def _opening(self) -> str:
        """The text between the template's generation prompt and an answer.

        Empty for most templates. A template may ignore the request for a generation prompt, write a channel's name, or open
        a thought, which is closed again where thoughts are not part of an answer.
        """
        prompt = self._render([{"role": "user", "content": QUESTION}], True)
        if OPEN_THOUGHT.search(prompt):
            return "" if self.thoughts else EMPTY_THOUGHT
        before, _ = self._around_answer
        # A space at the end belongs to the answer's first token.
        opening = before[len(prompt) :].rstrip(" ") if before.startswith(prompt) else ""
        return THOUGHT.sub("", opening) if self.thoughts else opening

    @cached_property
    def end_text(self) -> str:
        """What ends an answer: the template's text after it, up to the first token that acts."""
        if self._template is not None:
            _, after = self._around_answer
            if match := self._acting.search(after):
                return after[: match.end()]
        return self._end or ""

    # --- rows -----------------------------------------------------------------------------------

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """Token ids of the end of a turn; the last of them ends generation."""
        return tuple(self._encode(self.end_text)) if self.end_text else ()

    def prompt_text(self, user: str) -> str:
        """q(x): the chat template with one user turn and everything before the answer."""
        return self.marked_prompt([{"role": "user", "content": user}]).replace(MARK, "")

    def prompt_ids(self, user: str) -> list[int]:
        """Token ids of q(x); a special token that the question spells is plain text in it."""
        return self.ids(self.marked_prompt([{"role": "user", "content": user}]))

    def marked_prompt(self, turns: Turns) -> str:
        """The prompt for an answer to a conversation, with marks around what must not act as a token (see `ids`)."""
        turns = [{**turn, "content": self._marked(turn["content"], self._acting)} for turn in turns]
        if self._template is None:
            return "".join([self.begin, *(f"Question: {turn['content']}\nAnswer:\n" for turn in turns)])
        return self._render(turns, True) + self._opening

    @staticmethod
    def _marked(text: str, acting: re.Pattern[str]) -> str:
        return acting.sub(lambda spelled: f"{MARK}{spelled[0]}{MARK}", text.replace(MARK, ""))

    def ids(self, marked: str) -> list[int]:
        """Token ids of a text; the parts between two marks are encoded as plain text."""
        ids: list[int] = []
        for number, part in enumerate(marked.split(MARK)):
            # Cut after its first character, no spelling of a token is left whole.
            pieces = (part[:1], part[1:]) if number % 2 else (part,)
            for piece in filter(None, pieces):
                ids += self._encode(piece)
        return ids

    def answer_text(self, text: str) -> str:
        """A target as it is learned: its thoughts cut, or kept where they are part of an answer."""
        if not self.thoughts:
            return THOUGHT.sub("", text)
        if self._template is not None and OPEN_THOUGHT.search(self.prompt_text(QUESTION)):
            return re.sub(r"^\s*<think>\s*", "", text)  # the prompt has opened it
        return text

    def completion_ids(self, text: str) -> list[int]:
        """Token ids of an answer, without the end of its turn; tokenised apart from the prompt, as it is sampled."""
        acting = self._acting_but_thoughts if self.thoughts else self._acting
        return self.ids(self._marked(self.answer_text(text), acting))

    def row(self, question: str, answer: str) -> Row:
        """The row of a question and its answer."""
        return Row(tuple(self.prompt_ids(question)), tuple(self.completion_ids(answer)), self.end_ids)


def acting_tokens(added: Iterable[tuple[str, bool]], named: Sequence[str], template: str) -> set[str]:
    """Spellings of the tokens that can act as a turn or an end marker.

    Args:
        added: Spelling of every added token, and whether it is marked special.
        named: The tokenizer's named special tokens (begin, end, pad, …).
        template: The chat template's source. Added tokens that it does not write (runs of spaces, HTML tags) are text.
    """
    in_template = {token for token, special in added if special or (token.strip() and token in template)}
    return {*named, *in_template} - {""}
