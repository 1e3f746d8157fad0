"""Whether `password = …` or `"api_key": "…"` assigns a secret: what the name says, and what the value looks like."""

from __future__ import annotations

import re

from lora_tui.curation.redact_values import entropy, has_digit, has_letter, has_signs, is_words, masked, usual

# The kinds of key that are secret, at the end of what stands before the word `key`.
_KINDS_OF_KEY = re.compile(
    r"(?i)(?:api|app|access|secret|private|auth|authorization|encryption|encrypt|signing|sign|master|session|service"
    r"|licen[sc]e|account|shared|storage|client|consumer|deploy|admin|root|write|ingest|user|host|hmac|cipher|crypto|ssh"
    r"|pgp|aes|rsa|jwt|oauth|wallet|webhook|subscription|functions?|project)[ _.-]?$"
)
_VARIABLE = re.compile(r"(?<![a-z])[A-Z][A-Z0-9_]+_$")
# What follows the word in a name and makes it another thing: token_type, password_field, secretName.
_OTHER_THING = re.compile(
    r"(?i)(?:^|[_.-])(?:type|name|id|ids|url|uri|path|file|filename|dir|count|counts|len|length|limit|size|env|var"
    r"|expir\w*|ttl|field|format|header|prefix|suffix|regex|pattern|index|version|kind|class|policy|param|params|method"
    r"|endpoint|details|usage|budget|policies|algorithm|alg|ref|reference|label|hint|placeholder|confirm\w*|rotation"
    r"|min\w*|max\w*|generator|manager|provider|store|storage|service|scope|scopes|strategy|validator|required|enabled"
    r"|description|title|error|message|reset|status|stream|ring|arn|pair|board|code|frame|word|words|map|sum)$"
)
# What stands before it and does so: max_tokens, cache_key, public_key.
_BEFORE = re.compile(
    r"(?i)(?<![a-z])(?:max|min|num|n|next|page|prev|input|output|prompt|completion|total|cached?|sort|primary|foreign"
    r"|public|partition|row|group|order|lookup|object|idempotency|dedupe?|i18n|translation|react|pad|eos|bos|unk|mask"
    r"|stop|special|continuation|sync|cursor|pagination|cancel\w*|hot|map|dict|data|state|query|index|unique|bucket"
    r")[_ .-]?$"
)
_NOTHING = re.compile(
    r"""(?ix) ^(?: \w*(?:environ|getenv)\b | (?:process|import)\. | env[\[.(] | https?:// | file: | arn: | sha\d+[:-]
    | (?:self|this|params|props|config|settings|options|opts|args|secrets|credentials|request|req|ctx|context|state
        |data|response|res|user|input|event|var|local|module|os|app|session|form|body|json|rails)[.\[]
    | your | changeme | example | sample | dummy | test(?![a-z0-9]*\d{3}) | fake | mock | placeholder | redacted
    | (?:none|null|nil|true|false|undefined|string|str|await|dev)\b | new\s | func | lambda | optional | enter | insert
    | some | todo | foo | bar | (?:password|passwd|secret)\d{0,3}$ )
    | \(\) | \.\w+\( | :: | -> | => | \$\{ | \{\{ | <% | %> | [\[(]\w*$ | ^\w+\[ | ^[A-Za-z_]\w*\(
    | ^[A-Za-z]\w*(?:\.[A-Za-z_]\w*)+[?!]?$
    """
)
# Where a variable or a template begins; between quotes a password may begin with such a sign, too.
_BARE_SIGN = re.compile(r"[$<{(\[%&@*#=/\\|!.,+-]")
_QUOTED_TEMPLATE = re.compile(
    r"\$[A-Za-z_]\w*$|\$\(|<.*>$|\{.*\}$|%[sd(]|\[.*\]$|\(.*\)$|/[\w/.-]*$|\.{1,2}/|--?\w|[=,+*|\\]"
)
_CODE = re.compile(r"[(\[{]|\.[a-z_]+\b(?!$)|^\w+\.\w+$|^[A-Z]\w+<")


def assigned(match: re.Match[str], value: str) -> bool:
    """The check of the rules `assignment` and `cli_secret`."""
    groups = match.groupdict()
    name, quoted = (groups.get("n") or "").lower(), bool(groups.get("q"))
    before = match.string[max(0, match.start() - 24) : match.start()]
    if name and not _names_a_secret(name, groups.get("rest") or "", before, value):
        return False
    if says_nothing(value, quoted):
        return False
    a_password = "pass" in name or "pwd" in name
    if value.isdigit():
        return quoted and a_password
    if re.search(r"\s", value) and not (quoted and a_password and has_digit(value)):
        return False
    if entropy(value) < (2.5 if a_password else 2.7 if len(value) < 20 else 3.0):
        return False
    if not quoted and _CODE.search(value) and not re.search(r"[/+=]", value):
        return False
    if a_password and has_signs(value) and has_letter(value):
        return True
    return has_digit(value) and has_letter(value) and not is_words(value)


def says_nothing(value: str, quoted: bool) -> bool:
    """A stand-in, a word, a variable or an expression instead of a secret."""
    begins = _QUOTED_TEMPLATE if quoted else _BARE_SIGN
    return masked(value) or usual(value) or bool(begins.match(value)) or bool(_NOTHING.search(value))


def _names_a_secret(word: str, rest: str, before: str, value: str) -> bool:
    """Whether `word` in a name, with the `rest` of the name and what stands before it, says that a secret follows."""
    if word in ("token", "key") and rest[:1] in ("s", "S", "i", "r", "w"):  # tokens, tokenizer, keyring, keyword
        return False
    if _OTHER_THING.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rest)) or _BEFORE.search(before):
        return False
    if word != "key" or rest.lower().startswith("_base") or _KINDS_OF_KEY.search(before):
        return True
    if rest.strip(")]"):
        return False
    if _VARIABLE.search(before):  # FAL_KEY
        return True
    return before[-1:] in ("_", "-") and len(value) >= 32 and not re.fullmatch(r"[0-9a-f]{40}", value)
