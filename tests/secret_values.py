"""Values in the shape of secrets, made when a test runs: the repository itself holds none.

`{a36}` in a case stands for 36 random letters and digits; the same case gives the same values on every run.
"""

from __future__ import annotations

import random
import re
import string
import uuid

_ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "b": string.ascii_letters + string.digits + "_-",
    "B": string.ascii_letters + string.digits + "+/",
    "c": string.ascii_letters,
    "d": "123456789",
    "h": "0123456789abcdef",
    "l": string.ascii_lowercase + string.digits,
    "t": string.ascii_uppercase + "234567",
    "u": string.ascii_uppercase + string.digits,
    "v": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
_FILLER = re.compile(r"\{(?:([aBbcdhltuv])(\d+)|(U)|(-))\}")


def filled(case: str, salt: str = "") -> tuple[str, list[str]]:
    """The case with its fillers replaced, and the values that took their place (8 characters and more)."""
    chance = random.Random(f"{salt}:{case}")
    values: list[str] = []

    def value(found: re.Match[str]) -> str:
        alphabet, size, is_uuid, _ = found.groups()
        if is_uuid:
            made = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        elif alphabet:
            made = _random(chance, _ALPHABETS[alphabet], int(size))
        else:
            return ""
        if len(made) >= 8:
            values.append(made)
        return made

    return _FILLER.sub(value, case), values


def _random(chance: random.Random, alphabet: str, size: int) -> str:
    """Random characters; a letter or digit at both ends, and a digit in it where the alphabet has any."""
    ends = [character for character in alphabet if character.isalnum()]
    made = [chance.choice(alphabet) for _ in range(size)]
    made[0], made[-1] = chance.choice(ends), chance.choice(ends)
    digits = [character for character in alphabet if character.isdigit()]
    if digits and size > 4 and not any(character.isdigit() for character in made):
        made[size // 2] = chance.choice(digits)
    return "".join(made)
