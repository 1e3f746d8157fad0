"""Texts and prompts with which an export is compared: kinds of text that tokenizers cut in different places."""

from __future__ import annotations

import unicodedata

PROMPTS = ("Hello", "What is your name?", "Say yes.", "Write a function that adds two numbers.")
NEW_TOKENS = 16
_TEXTS = (
    "def add(a, b):\n    return a + b\n",
    'fn main() {\n\tprintln!("{:>8.3}", x);\n}\n',
    "for (let i = 0; i < 10; i++) { total += items[i]?.price ?? 0; }",
    "#include <vector>\n\nint main(int argc, char **argv) { return 0; }",
    "SELECT id, name FROM users WHERE created_at >= '2024-01-31' ORDER BY 1;",
    'if err != nil {\n\treturn fmt.Errorf("read %s: %w", path, err)\n}',
    "<div class=\"card\" data-id='7'>&nbsp;</div>",
    'git commit -m "fix: off-by-one" && git push --force-with-lease',
    '{"name": "read", "arguments": {"filePath": "src/main.rs"}}',
    "https://example.org/a/b?c=d&e=%20f#g",
    "I'll don't WE'RE he'd O'Neil rock'n'roll",
    "1 22 333 4444 55555 3.14159 -1e-9 0xDEADBEEF 1_000_000",
    "naïve café Ærøskøbing Straße",
    "Съешь же ещё этих мягких французских булок",
    "你好，世界！这是一个测试。",
    "こんにちは、世界。テストです。",
    "안녕하세요 세계",
    "שלום עולם",
    "مرحبا بالعالم",
    "हिन्दी में परीक्षण",
    "😀🎉👩‍💻🏳️‍🌈",
    "a  b   c    d\te\t\tf\n\n\ng\r\nh",
    "   leading and trailing   ",
    "\n\n\n",
    "x²+y₂≠∑∞→⇒",
    "camelCaseAndPascalCase snake_case_name kebab-case-name SCREAMING_CASE",
    "!!!???...,,,;;;:::---___===+++",
    "()[]{}<>\\|/~`'\"",
    "",
)


def texts(added: tuple[str, ...]) -> tuple[str, ...]:
    """The texts, and some with tokens that were added to a model's between; composed (NFC), as transformers does."""
    mixed = [f"{one}user\nHi there{one}" for one in added]
    return tuple(unicodedata.normalize("NFC", text) for text in (*_TEXTS, *mixed))
