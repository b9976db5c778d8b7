"""The last two answers to each question that differ: what a stale list is made of."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")
Question = tuple[str, bytes]  # what was asked, in words and in bytes


class Answers(Generic[T]):
    """Remembers answers to the `most` questions that were asked last; answers are compared by `==`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Question, list[T]] = OrderedDict()

    def remember(self, question: Question, answer: T) -> None:
        """Keep an answer, if it is another than the last one to that question."""
        answers = self._answers.setdefault(question, [])
        self._answers.move_to_end(question)
        if not answers or answers[-1] != answer:
            answers.append(answer)
            del answers[:-2]
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def older(self, question: Question, answer: T) -> T:
        """Return the answer before `answer`; `answer` itself if there was none."""
        answers = self._answers.get(question) or [answer]
        return answers[0] if answers[-1] == answer else answers[-1]
