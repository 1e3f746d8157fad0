"""What a pattern cannot say: whether a value looks like a secret, a person's address, a real host."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable

Check = Callable[[re.Match[str], str], bool]  # the match and the part that would be replaced

_MASKED = re.compile(
    r"(?i)example|placeholder|change[_-]?me|your[_-]|dummy|redacted|x{6,}|\*{3,}|\.{3}|^(.)\1*$|<secret:|<pii:"
)
_NOTHING = re.compile(
    r"""(?ix) ^(?: [$<{(\[%&@*#=/\\|!.,+-] | \w*(?:environ|getenv)\b | (?:process|import)\.|env[\[.(]
    | (?:self|this|params|props|config|settings|options|opts|args|secrets|credentials|request|req|ctx|context|state
        |data|response|res|user|input|event|var|local|module|os|app|session|form|body|json|rails)[.\[]
    | your | changeme | example | sample | dummy | test(?![a-z0-9]*\d{3}) | fake | mock | placeholder | redacted | none\b
    | null\b | nil\b | true\b | false\b | undefined\b | string\b | str\b | await\b | new\s | func | lambda | optional
    | enter | insert | some | todo | foo | bar | dev\b | password\d{0,3}$ | passwd\d{0,3}$ | secret\d{0,3}$ | https?:// | file: | arn: | sha\d+[:-] )
    | \(\)|\.\w+\(|::|->|=>|\$\{|\{\{|<%|%>|[\[(]\w*$ | ^\w+\[ | ^[A-Za-z_]\w*\( | ^[A-Za-z]\w*(?:\.[A-Za-z_]\w*)+[?!]?$
    """
)
_WORD = re.compile(r"[A-Z]?[a-z]{3,}")
_CAPITALS = re.compile(r"[A-Z]{3,}")
_VOWELS = re.compile(r"[aeiouyAEIOUY]")
_USUAL = frozenset(
    [
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "token",
        "guest",
        "root",
        "admin",
        "test",
        "user",
        "postgres",
        "mysql",
        "redis",
        "mongo",
        "rabbitmq",
        "example",
        "changeme",
        "username",
        "default",
        "local",
        "localhost",
        "dev",
        "development",
        "postgrespw",
        "mypassword",
        "mysecretpassword",
        "pw",
        "key",
        "apikey",
        "api_key",
        "oauth2",
        "x-oauth-basic",
        "git",
        "docker",
        "letmein",
        "hunter2",
        "foobar",
    ]
)
# What follows the word in a name and makes it another thing: token_type, password_field, secretName, …
_OTHER_THING = re.compile(
    r"(?i)(?:^|[_.-])(?:type|name|id|ids|url|uri|path|file|filename|dir|count|counts|len|length|limit|size|env|var"
    r"|expir\w*|ttl|field|format|header|prefix|suffix|regex|pattern|index|version|kind|class|policy|param|params|method"
    r"|endpoint|details|usage|budget|policies|algorithm|alg|ref|reference|label|hint|placeholder|confirm\w*|rotation"
    r"|min\w*|max\w*|generator|manager|provider|store|storage|service|scope|scopes|strategy|validator|required|enabled"
    r"|description|title|error|message|reset|status|stream|ring|s?arn|pair|board|code|frame|word|words|map|sum|ize\w*)$"
)
_NOT_BEFORE = re.compile(
    r"(?i)(?<![a-z])(?:max|min|num|n|next|page|prev|input|output|prompt|completion|total|cached?|sort|primary|foreign|public"
    r"|partition|row|group|order|lookup|object|idempotency|dedupe?|i18n|translation|react|pad|eos|bos|unk|mask|stop"
    r"|special|continuation|sync|cursor|pagination|csrf_meta|cancel\w*|hot|map|dict|data|state|query|index|unique|bucket)[_ .-]?$"
)


_KINDS_OF_KEY = re.compile(
    r"(?i)(?:api|app|access|secret|private|auth|authorization|encryption|encrypt|signing|sign|master|session|service"
    r"|licen[sc]e|account|shared|storage|client|consumer|deploy|admin|root|write|ingest|user|host|hmac|cipher|crypto|ssh"
    r"|pgp|aes|rsa|jwt|oauth|wallet|webhook|subscription|functions?|project)[ _.-]?$"
)
_VARIABLE = re.compile(r"(?<![a-z])[A-Z][A-Z0-9_]+_$")


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(value)
    return -sum(number / size * math.log2(number / size) for number in Counter(value).values()) if size else 0.0


def not_masked(match: re.Match[str], value: str) -> bool:
    """No stand-in such as `xxxxxx`, `...` or `your-key`. A long value that holds such a word by chance is kept."""
    found = _MASKED.search(value)
    return found is None or (len(value) > 60 and found.end() - found.start() < 12 and found.group(0)[0] not in ".*xX<")


def mixed(match: re.Match[str], value: str) -> bool:
    """Letters and digits, and not words joined by dashes or capitals."""
    return not_masked(match, value) and _has_digit(value) and _has_letter(value) and not _words(value)


def mixed_case(match: re.Match[str], value: str) -> bool:
    """`mixed`, with small letters and capitals."""
    return mixed(match, value) and value.lower() != value != value.upper()


def shuffled(match: re.Match[str], value: str) -> bool:
    """Small letters and capitals in no order that a name would have."""
    changes = sum(a.islower() != b.islower() for a, b in zip(value, value[1:], strict=False))
    return not_masked(match, value) and changes * 5 >= len(value) and value != value.lower()


def strong(match: re.Match[str], value: str) -> bool:
    """A password that somebody chose: no stand-in, no word, no expression."""
    if not not_masked(match, value) or _NOTHING.search(value) or value.lower() in _USUAL or entropy(value) < 2.5:
        return False
    return (_has_digit(value) and _has_letter(value) and not _words(value)) or bool(re.search(r"[!@#$%^&*?~]", value))


def url_password(match: re.Match[str], value: str) -> bool:
    """The password in user:password@host: none that every manual shows, no variable, no port."""
    if value.lower() in _USUAL or re.match(r"[$<{%*\[(:]|\.{2,}|x{3,}", value, re.I) or value.isdigit():
        return False
    return not_masked(match, value) and not re.search(r"\$\{|\{\{|\(|#\{|[{}]", value) and len(value) >= 4


def assigned(match: re.Match[str], value: str) -> bool:
    """The value of `password = …`, `"api_key": "…"`: random enough, and no code, stand-in or other thing."""
    groups = match.groupdict()
    quoted = bool(groups.get("q"))
    name, rest = (groups.get("n") or "").lower(), groups.get("rest") or ""
    if name and not _names_a_secret(name, rest, match.string[max(0, match.start() - 24) : match.start()]):
        return False
    if not not_masked(match, value) or _NOTHING.search(value) or value.lower() in _USUAL:
        return False
    a_password = "pass" in name or "pwd" in name
    if value.isdigit():
        return quoted and a_password
    if re.search(r"\s", value) and not (quoted and a_password and _has_digit(value)):
        return False
    if entropy(value) < (2.5 if a_password else 3.0):
        return False
    if (
        not quoted
        and re.search(r"[(\[{]|\.[a-z_]+\b(?!$)|^\w+\.\w+$|^[A-Z]\w+<", value)
        and not re.search(r"[/+=]", value)
    ):
        return False
    if a_password and re.search(r"[!@#$%^&*?~]", value) and _has_letter(value):
        return True
    return _has_digit(value) and _has_letter(value) and not _words(value)


def _names_a_secret(word: str, rest: str, before: str) -> bool:
    """Whether `word` in a name, with the `rest` of the name and what stands before it, says that a secret follows."""
    if word in ("token", "key") and rest[:1] in ("s", "S", "i", "r", "w"):  # tokens, tokenizer, keyring, keyword
        return False
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rest)
    if _OTHER_THING.search(snake) or _NOT_BEFORE.search(before):
        return False
    if word != "key" or rest.lower().startswith("_base"):
        return True
    if _KINDS_OF_KEY.search(before):
        return True
    return bool(_VARIABLE.search(before)) and not rest.strip(")]")  # FAL_KEY


def email(match: re.Match[str], value: str) -> bool:
    """An address that may be a person's: no example domain, no robot, no file name, no decorator."""
    local, _, domain = value.lower().rpartition("@")
    ending = domain.rpartition(".")[2]
    if local in _ROBOTS or local.startswith(("noreply", "no-reply", "donotreply", "do-not-reply")):
        return False
    if re.search(
        r"(?:^|\.)(?:example\.(?:com|org|net)|example|test|invalid|localhost|local|users\.noreply\.github\.com)$",
        domain,
    ):
        return False
    if ending in _NO_DOMAINS:
        return False
    return len(ending) == 2 or ending in _DOMAINS


_ROBOTS = frozenset(
    [
        "git",
        "hg",
        "svn",
        "noreply",
        "no-reply",
        "mailer-daemon",
        "postmaster",
        "user",
        "username",
        "you",
        "your.name",
        "name",
        "me",
        "someone",
    ]
)
_NO_DOMAINS = frozenset(
    ["py", "js", "ts", "md", "sh", "rb", "cs", "pl", "go", "kt", "mm", "hh", "cc", "so", "in_", "id_", "gz", "ps"]
) - {"cc", "so", "rb"}
_DOMAINS = frozenset(
    [
        "com",
        "org",
        "net",
        "edu",
        "gov",
        "mil",
        "int",
        "info",
        "biz",
        "name",
        "pro",
        "dev",
        "app",
        "cloud",
        "tech",
        "online",
        "site",
        "xyz",
        "email",
        "mail",
        "me",
        "tv",
        "io",
        "ai",
        "club",
        "shop",
        "store",
        "blog",
        "page",
        "wiki",
        "software",
        "systems",
        "solutions",
        "group",
        "team",
        "work",
        "works",
        "agency",
        "studio",
        "design",
        "digital",
        "media",
        "network",
        "global",
        "world",
        "international",
        "company",
        "consulting",
        "services",
        "support",
        "science",
        "academy",
        "school",
        "university",
        "institute",
        "health",
        "law",
        "legal",
        "finance",
        "bank",
        "capital",
        "berlin",
        "london",
        "paris",
        "tokyo",
        "nyc",
        "hamburg",
        "wien",
        "koeln",
        "bayern",
        "museum",
        "aero",
        "coop",
        "jobs",
        "mobi",
        "asia",
        "arpa",
        "space",
        "website",
        "live",
        "life",
        "zone",
        "rocks",
        "ninja",
        "tools",
        "engineering",
        "codes",
        "computer",
        "foundation",
        "education",
        "email",
        "family",
        "guru",
        "host",
        "hosting",
        "industries",
        "land",
        "link",
        "lol",
        "ltd",
        "gmbh",
        "inc",
        "llc",
        "money",
        "news",
        "one",
        "plus",
        "press",
        "red",
        "run",
        "social",
        "tel",
        "today",
        "top",
        "travel",
        "uno",
        "ventures",
        "video",
        "vip",
        "web",
        "win",
        "wtf",
    ]
)
_SHARED_HOMES = frozenset(
    [
        "user",
        "users",
        "username",
        "runner",
        "ubuntu",
        "root",
        "node",
        "app",
        "vscode",
        "codespace",
        "ec2-user",
        "linuxbrew",
        "circleci",
        "shared",
        "public",
        "default",
        "guest",
        "vagrant",
        "travis",
        "jenkins",
        "debian",
        "centos",
        "admin",
        "administrator",
        "all",
        "runneradmin",
        "gitpod",
        "you",
        "me",
        "name",
        "yourname",
        "foo",
        "someone",
        "someuser",
        "example",
        "your-name",
        "your_name",
        "your_username",
        "youruser",
        "login",
        "home",
    ]
)


def home(match: re.Match[str], value: str) -> bool:
    """A home folder that says who somebody is."""
    return value.lower() not in _SHARED_HOMES and not value.endswith((".tsx", ".ts", ".js", ".html", ".py", ".jsx"))


def ipv4(match: re.Match[str], value: str) -> bool:
    """An address on the internet; no version number, no documentation address, no well-known resolver."""
    parts = value.split(".")
    if any(len(part) > 1 and part[0] == "0" for part in parts) or value in _RESOLVERS:
        return False
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or parts[3] == "0" or parts[1:3] == ["0", "0"]:
        return False
    if int(parts[0]) < 3 or value.startswith("3.6.1"):
        return False
    before = match.string[max(0, match.start() - 24) : match.start()].lower()
    return not re.search(
        r"version|\bver\b|\bv\.?$|release|build|[a-z]/$|[~^]$|oid|==|>=|<=|~>|\brev|chrome|safari|section|§|sdk", before
    ) or ("://" in before[-8:])


_RESOLVERS = frozenset(("8.8.8.8", "8.8.4.4", "9.9.9.9", "4.4.4.4", "4.2.2.2", "208.67.222.222", "208.67.220.220"))


def ipv6(match: re.Match[str], value: str) -> bool:
    """An address on the internet; no date with a time, no documentation address."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return address.is_global and (value.count(":") >= 3)


def _has_digit(value: str) -> bool:
    return any(character.isdigit() for character in value)


def _has_letter(value: str) -> bool:
    return any(character.isalpha() for character in value)


def _words(value: str) -> bool:
    """Mostly words, with a digit here and there: `fetch_user_v2`, `AutoTokenizer3`."""
    digits = sum(character.isdigit() for character in value)
    if digits * 8 >= len(value):
        return False
    found = (_WORD if value != value.upper() else _CAPITALS).findall(value)
    wordy = sum(len(word) for word in found if len(_VOWELS.findall(word)) * 5 >= len(word))
    return wordy * 5 >= len(value) * 3


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (not_masked, mixed, mixed_case, shuffled, strong, url_password, assigned, email, home, ipv4, ipv6)
}
