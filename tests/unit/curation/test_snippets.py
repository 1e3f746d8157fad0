"""What code without a file name looks like."""

from __future__ import annotations

import re

import pytest

from lora_tui.curation.snippets import Row, look, table

ROWS = [(language, row) for language, rows in table().languages().items() for row in rows]


@pytest.mark.parametrize(("language", "row"), ROWS, ids=[f"{name}-{row.yes[:20]}" for name, row in ROWS])
def test_every_rule_finds_its_case_and_not_the_other(language: str, row: Row) -> None:
    assert re.search(row.pattern, row.yes, re.M)
    assert any(literal in row.yes for literal in row.needs), "no literal lets the case through"
    assert not re.search(row.pattern, row.no, re.M)


CODE = {
    "rust": """
impl Ring {
    pub fn push(&mut self, value: u8) -> Option<u8> {
        let mut old = None;
        old
    }
}
""",
    "go": """
package ring

func (r *Ring) Push(v int) error {
\tn, err := r.w.Write(v)
\tif err != nil {
\t\treturn err
\t}
\treturn nil
}
""",
    "swift": """
extension Ring {
    func push(_ value: Int) -> Int? {
        guard let last = items.last else { return nil }
        return last
    }
}
""",
    "ruby": """
class Ring < Base
  attr_reader :items

  def push(value)
    @items.each do |item|
      puts item
    end
  end
end
""",
    "python": """
class Ring:
    def push(self, value):
        for item in self.items:
            if item is None:
                return True
""",
    "typescript": """
export interface Ring {
  items: string[];
}
export function push(ring: Ring, value: string): void {
  ring.items.push(value);
}
""",
    "javascript": """
'use strict';
var items = [];
function push(value) {
  items.push(value);
  console.log(value);
}
module.exports = push;
""",
    "shell": """
#!/bin/sh
set -eu
if [ -z "$1" ]; then
  echo usage
  exit 1
fi
for f in *.txt; do
  cat "$f"
done
""",
}


@pytest.mark.parametrize("language", CODE)
def test_a_few_lines_of_code_are_recognised(language: str) -> None:
    assert look(CODE[language].lstrip()).language == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "The quick brown fox.\n" * 9,
        '{\n  "a": 1,\n  "b": [2, 3],\n  "c": null,\n  "d": 4,\n  "e": 5\n}',
        "- item\n" * 9,
    ],
    ids=["nothing", "one line", "prose", "json", "list"],
)
def test_what_is_no_code_is_no_language(text: str) -> None:
    assert look(text).language == ""
