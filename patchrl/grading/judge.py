"""The frozen backbone as a judge: P(yes) against P(no) through its own chat template."""

from __future__ import annotations

from collections.abc import Sequence

from patchrl.errors import BackboneError
from patchrl.models.backbone import Backbone
from patchrl.types import Example

REASONING = (
    "Question:\n{question}\n\nSolution:\n{text}\n\n"
    "Is every step of this solution valid, and does it lead to its answer? Reply yes or no."
)
MEANING = (
    "Question:\n{question}\n\nFirst answer:\n{solution}\n\nSecond answer:\n{text}\n\n"
    "Does the second answer say the same as the first? Reply yes or no."
)
YES_NO_SPELLINGS = {"yes": ("yes", "Yes", "YES", " yes", " Yes"), "no": ("no", "No", "NO", " no", " No")}


class Judge:
    """Asks the frozen backbone a yes-or-no question about each text."""

    def __init__(self, backbone: Backbone) -> None:
        """Raises BackboneError when the tokenizer has no single token for yes or for no."""
        self.backbone = backbone
        encode = backbone.tokenizer
        ids = {
            word: [i[0] for s in spellings if len(i := encode(s, add_special_tokens=False)["input_ids"]) == 1]
            for word, spellings in YES_NO_SPELLINGS.items()
        }
        self._ids = [sorted(set(ids["yes"])), sorted(set(ids["no"]))]
        if not all(self._ids) or set(self._ids[0]) & set(self._ids[1]):
            raise BackboneError(
                "gate.reasoning: the judge needs `yes` and `no` as single tokens, and this backbone's tokenizer "
                "splits them; use `equations` or `none`."
            )

    def reasoning(self, examples: Sequence[Example], texts: Sequence[str]) -> list[float | None]:
        """P(the steps are valid) of each text, in [0, 1]; None where it does not fit the backbone's context."""
        return self._ask([REASONING.format(question=e.question, text=t) for e, t in zip(examples, texts, strict=True)])

    def meaning(self, examples: Sequence[Example], texts: Sequence[str]) -> list[float | None]:
        """P(the text says the same as the expert solution), in [0, 1]; None where it does not fit."""
        return self._ask(
            [
                MEANING.format(question=e.question, solution=e.solution, text=t)
                for e, t in zip(examples, texts, strict=True)
            ]
        )

    def _ask(self, questions: Sequence[str]) -> list[float | None]:
        # A question that is too long stays undecided: cut, it would lose its end or its subject.
        fits = [q for q in questions if self.backbone.fits(q)]
        probabilities = dict(zip(fits, self.backbone.next_token_probabilities(fits, self._ids), strict=True))
        return [
            float(probabilities[q][0] / max(probabilities[q].sum(), 1e-30)) if q in probabilities else None
            for q in questions
        ]
