"""Whether a server read less of a prompt than was sent, from the number of prompt tokens that it tells.

Where the server tokenizes for us (`/tokenize`) the number is compared with that. Without a tokenizer three things are
certain enough to void a comparison:

* fewer tokens than words. Tokenizers of the field part text at white space first (byte-level BPE by its pattern,
  SentencePiece by default), so that a word is a token at least. A tenth is left for those that do not.
* more than 16 characters to a token, on average, runs of one character and white space counted short: no vocabulary
  comes near that on text that is not one repeated word.
* the highest number that was told being the same for three prompts or more of clearly different length: what is cut
  at a limit ends at the limit.
"""

from __future__ import annotations

import re

_SLACK = 2  # tokens by which a template's rendering may differ from the tokenizer's own
_FEW = 50  # words, or prompts' tokens, under which nothing is concluded
_CHARACTERS = 16  # of one token at most
_SATURATED = 256  # tokens from which equal numbers are no accident
_SPREAD = 1.3  # between the longest and the shortest prompt of one number
_REPEATED = re.compile(r"(\S)\1{3,}|\s+")


class Watch:
    """Follows the prompts of one endpoint. `whole_counts`: it tells all tokens of a prompt, cached ones too."""

    def __init__(self, *, whole_counts: bool = True) -> None:
        self._whole = whole_counts
        self._least: dict[str, int] = {}
        self._highest = 0
        self._at_highest: set[int] = set()  # characters of the prompts

    def why(self, prompt: str, told: int, exact: int | None = None) -> str:
        """What shows that `prompt` was cut, in words; "" where nothing does. `told` 0: the server does not tell."""
        if not told:
            return ""
        if exact is not None and told < exact - _SLACK:
            return f"it read {told} tokens of a prompt that its own tokenizer makes {exact} of"
        least = self.least(prompt)
        if self._whole and told < least:
            return f"it read {told} tokens of a prompt that has at least {least}"
        if told > self._highest:
            self._highest, self._at_highest = told, set()
        if told == self._highest:
            self._at_highest.add(len(prompt))
            lengths = self._at_highest
            if told >= _SATURATED and len(lengths) >= 3 and max(lengths) > _SPREAD * min(lengths):
                return f"it read {told} tokens of {len(lengths)} prompts of {min(lengths)} to {max(lengths)} characters"
        return ""

    def least(self, prompt: str) -> int:
        """Tokens that a prompt has in any case."""
        found = self._least.get(prompt)
        if found is None:
            words = len(prompt.split())
            by_words = int(0.9 * words) if words >= _FEW else 0
            found = max(by_words, len(_REPEATED.sub(" ", prompt)) // _CHARACTERS - _FEW)
            self._least[prompt] = found
        return found
