"""Code as trees: what a file defines, what encloses a line, whether it parses, which names it takes from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.sources.code.definitions import definitions, enclosing
from lora_tui.sources.code.grammar import GRAMMARS, grammar_of
from lora_tui.sources.code.names import outside_names
from lora_tui.sources.code.quality import parses

RUBY = """\
# frozen_string_literal: true

# Prices of a shop.
class Basket < Base
  # The sum with discount,
  # in cents.
  def total(discount = 0)
    items.sum(&:price) - [discount, LIMIT].min
  end

  def self.empty
    new([])
  end
end

def shout(text) = text.upcase

describe Basket do
  it "adds prices" do
    expect(Basket.empty.total).to eq(0)
  end
end
"""

SWIFT = """\
/// Prices of a shop.
public struct Basket: Sendable {
    let prices: [Int]

    /// The sum.
    func total(discount: Int = 0) -> Int {
        succeed(())
        return prices.reduce(0, +) - min(discount, limit)
    }

    var isEmpty: Bool { prices.isEmpty }

    init(prices: [Int]) { self.prices = prices }
}
extension Basket { static let none = 0 }
"""

RUST = """\
/// Prices of a shop.
#[derive(Debug)]
pub struct Basket {
    prices: Vec<u32>,
}

impl Basket {
    /// The sum.
    #[must_use]
    pub fn total(&self, discount: u32) -> u32 {
        self.prices.iter().sum::<u32>() - discount.min(LIMIT)
    }
}

mod tests {
    #[test]
    fn adds() {
        assert_eq!(Basket { prices: vec![] }.total(0), 0);
    }
}
"""

TYPESCRIPT = """\
/** The sum. */
export const total = (prices: number[], discount = 0): number => {
  return prices.reduce((a, b) => a + b, 0) - Math.min(discount, LIMIT);
};

export class Basket {
  @cached()
  sum() {
    return total(this.prices);
  }
}

interface Priced {
  price: number;
}

const table = { size: 3, grow: function () { return 1; } };

describe("total", () => {
  it("adds", () => {
    expect(total([1])).toBe(1);
  });
});
"""

PYTHON = '''\
@cache
def total(prices, discount=0):
    """The sum."""
    return sum(prices) - min(discount, LIMIT)


class Basket:
    # Whether it holds nothing.
    def empty(self):
        return not self.prices
'''

GO = """\
package shop

// Basket holds prices.
type Basket struct {
	prices []int
}

// Total is the sum.
func (b *Basket) Total(discount int) int {
	sum := 0
	for _, price := range b.prices {
		sum += price
	}
	return sum - least(discount, Limit)
}
"""

SHELL = """\
# Says the sum.
total() {
  local sum=0
  for price in "$@"; do
    sum=$((sum + price))
  done
  report "$sum"
}
"""

FILES = {
    "ruby": RUBY,
    "swift": SWIFT,
    "rust": RUST,
    "typescript": TYPESCRIPT,
    "python": PYTHON,
    "go": GO,
    "shell": SHELL,
}

EXPECTED = {
    "ruby": [
        ("type", "Basket", ""),
        ("method", "total", "Basket"),
        ("method", "empty", "Basket"),
        ("function", "shout", ""),
        ("test", "Basket", ""),
        ("test", "adds prices", ""),
    ],
    "swift": [
        ("type", "Basket", ""),
        ("method", "total", "Basket"),
        ("method", "isEmpty", "Basket"),
        ("method", "init", "Basket"),
        ("type", "Basket", ""),
    ],
    "rust": [
        ("type", "Basket", ""),
        ("type", "Basket", ""),
        ("method", "total", "Basket"),
        ("module", "tests", ""),
        ("function", "adds", "tests"),
    ],
    "typescript": [
        ("function", "total", ""),
        ("type", "Basket", ""),
        ("method", "sum", "Basket"),
        ("type", "Priced", ""),
        ("function", "grow", ""),
        ("test", "total", ""),
        ("test", "adds", ""),
    ],
    "python": [("function", "total", ""), ("type", "Basket", ""), ("method", "empty", "Basket")],
    "go": [("type", "Basket", ""), ("function", "Total", "")],
    "shell": [("function", "total", "")],
}


@pytest.mark.parametrize("language", FILES)
def test_every_function_type_and_test_of_a_file_is_found(language: str) -> None:
    found = definitions(FILES[language].encode(), language)
    assert [(one.kind, one.name, one.parent) for one in found] == EXPECTED[language]
    assert all(one.sound for one in found)


@pytest.mark.parametrize(
    ("language", "name", "first", "last", "doc", "signature"),
    [
        ("ruby", "total", 7, 9, "# The sum with discount,\n# in cents.", "def total(discount = 0)"),
        ("swift", "total", 6, 9, "/// The sum.", "func total(discount: Int = 0) -> Int"),
        ("rust", "total", 9, 12, "/// The sum.", "pub fn total(&self, discount: u32) -> u32"),
        (
            "typescript",
            "total",
            2,
            4,
            "/** The sum. */",
            "export const total = (prices: number[], discount = 0): number",
        ),
        ("python", "total", 1, 4, '"""The sum."""', "@cache\ndef total(prices, discount=0)"),
        ("go", "Total", 9, 15, "// Total is the sum.", "func (b *Basket) Total(discount int) int"),
        ("shell", "total", 2, 8, "# Says the sum.", "total()"),
    ],
)
def test_a_function_has_its_lines_its_doc_and_its_signature(
    language: str, name: str, first: int, last: int, doc: str, signature: str
) -> None:
    found = next(one for one in definitions(FILES[language].encode(), language) if one.name == name)
    assert (found.first_line, found.last_line, found.doc, found.signature) == (first, last, doc, signature)


def test_decorators_attributes_and_export_belong_to_what_they_stand_before() -> None:
    by_name = {one.name: one for one in definitions(RUST.encode(), "rust")}
    assert RUST.encode()[by_name["total"].start :].startswith(b"#[must_use]")
    by_name = {one.name: one for one in definitions(TYPESCRIPT.encode(), "typescript")}
    assert TYPESCRIPT.encode()[by_name["sum"].start :].startswith(b"@cached()")
    assert TYPESCRIPT.encode()[by_name["Basket"].start :].startswith(b"export class")


def test_the_first_method_of_a_ruby_class_has_its_comment() -> None:
    (method,) = [one for one in definitions(b"class A\n  # Why.\n  def b\n  end\nend\n", "ruby") if one.name == "b"]
    assert method.doc == "# Why."


def test_a_comment_behind_code_is_not_the_doc_of_the_next_line() -> None:
    (found,) = definitions(b"LIMIT = 3 # at most\ndef a\n  1\nend\n", "ruby")
    assert found.doc == ""


def test_the_smallest_definition_around_some_lines_is_found() -> None:
    found = definitions(RUBY.encode(), "ruby")
    inside = enclosing(found, 8, 8)
    across = enclosing(found, 8, 12)
    assert inside is not None
    assert inside.name == "total"
    assert across is not None
    assert across.name == "Basket"
    assert enclosing(found, 1, 8) is None
    comment = enclosing(found, 5, 6)
    assert comment is not None
    assert comment.name == "total"


@pytest.mark.parametrize("language", FILES)
def test_whole_files_parse_and_cut_ones_do_not(language: str) -> None:
    code = FILES[language]
    assert parses(code.encode(), language)
    cut = {"go": "for _, price", "shell": "done"}.get(language, "discount")
    assert not parses(code[: code.index(cut) + 3].encode(), language)


def test_swift_that_its_grammar_stumbles_over_is_not_refused() -> None:
    assert parses(b"func a() {\n    promise.succeed(())\n}\n", "swift")


def test_a_damaged_function_is_known_among_sound_ones() -> None:
    found = definitions(b"def a\n  (1 +\nend\n\ndef b\n  2\nend\n", "ruby")
    assert {one.name: one.sound for one in found}.get("a") is not True


@pytest.mark.parametrize(
    ("language", "name", "names"),
    [
        ("ruby", "total", {"items", "LIMIT"}),
        ("swift", "total", {"prices", "min", "limit", "succeed", "Int"}),
        ("rust", "total", {"LIMIT"}),
        ("typescript", "total", {"Math", "LIMIT"}),
        ("python", "total", {"cache", "sum", "min", "LIMIT"}),
        ("go", "Total", {"least", "Limit", "Basket", "int"}),
        ("shell", "total", {"report"}),
    ],
)
def test_the_names_a_function_takes_from_outside(language: str, name: str, names: set[str]) -> None:
    code = FILES[language].encode()
    found = next(one for one in definitions(code, language) if one.name == name)
    assert outside_names(code, language, start=found.start, end=found.end) == names


def test_long_files_have_right_line_numbers_and_do_no_harm() -> None:
    code = "".join(f"def m{n}\n  n\nend\n\n" for n in range(1_000)).encode()
    for _ in range(5):  # with the rows that tree-sitter 0.26.0 gives this ends the process
        found = definitions(code, "ruby")
    assert [(one.first_line, one.last_line) for one in found] == [(4 * n + 1, 4 * n + 3) for n in range(1_000)]


def test_a_language_without_a_grammar_has_no_definitions() -> None:
    assert definitions(b"class A {}", "java") == []
    assert parses(b"class A {}", "java") is None
    assert grammar_of("typescript", "src/view.tsx") == "tsx"


@given(st.binary(max_size=300), st.sampled_from(sorted(GRAMMARS)))
def test_no_text_upsets_it(code: bytes, language: str) -> None:
    for one in definitions(code, language):
        assert 0 <= one.doc_start <= one.start <= one.body_start <= one.end <= len(code)
        assert 1 <= one.doc_line <= one.first_line <= one.last_line
    outside_names(code, language)
    parses(code, language)
