"""Near-duplicates: what is found, what is not, and that clusters follow what changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.curation import clusters, examples, labels
from lora_tui.curation.filters import Filter
from lora_tui.curation.near_duplicates import Groups, jaccard, link, shingles, signatures
from lora_tui.sources.model import About, Function, Message, ToolCall
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

WORDS = [f"word{number}" for number in range(400)]


def text(seed: int, length: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def changed(original: str, share: float, seed: int = 0) -> str:
    """The text with some of its words replaced."""
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) if draw.random() < share else word for word in original.split())


def clusters_of(texts: list[str]) -> list[list[int]]:
    """The groups of two or more, by their places."""
    found = [shingles(text) for text in texts]
    groups = Groups()
    link(groups, dict(enumerate(signatures(found))), (), found.__getitem__)
    members: dict[int, list[int]] = {}
    for place in range(len(texts)):
        members.setdefault(groups.of(place), []).append(place)
    return [group for group in members.values() if len(group) > 1]


def tell(workspace: Workspace, number: int, written: str, *, fingerprint: str = "1", **more: int) -> None:
    edit = calls("write", {"filePath": "a.py", "content": written}, "ok", call_id=f"call_{number}_{fingerprint}")
    told = [user(f"Please write module {number} for me"), *edit]
    store_session(workspace, f"ses_{number}", told, fingerprint=fingerprint, **more)


def found(workspace: Workspace) -> dict[int, int]:
    rows = examples.rows(workspace, sorted(examples.ids(workspace)))
    return {row.id: row.cluster for row in rows if row.cluster}


def test_white_space_and_small_changes_are_near_duplicates_and_other_texts_are_not() -> None:
    base = text(1)
    texts = [base, base.replace(" ", "\n\t"), changed(base, 0.02), text(2), changed(base, 0.5), "", ""]
    assert clusters_of(texts) == [[0, 1, 2]]


def test_what_shares_a_band_by_chance_is_not_joined() -> None:
    one, other = shingles(text(1)), shingles(text(2))
    groups = Groups()
    (signature,) = signatures([one])
    link(groups, {1: signature, 2: signature}, (), {1: one, 2: other}.__getitem__)
    assert groups.of(1) != groups.of(2)


def test_the_reads_of_an_agent_do_not_make_examples_alike_but_what_it_wrote_does(workspace: Workspace) -> None:
    shown, written = text(1), text(2)
    for number, content in enumerate((written, changed(written, 0.02), text(3)), start=1):
        told = [
            user(f"Please look at part {number} first"),
            *calls("read", {"filePath": "big.py"}, shown, call_id=f"r{number}"),
            *calls("Edit", {"file_path": "a.py", "old_string": "x", "new_string": content}, "ok", call_id=f"e{number}"),
        ]
        store_session(workspace, f"ses_{number}", told)
    examples.refresh(workspace)
    assert found(workspace) == {1: 1, 2: 1}
    assert list(examples.ids(workspace, Filter(near_duplicates=True))) == [2, 1]
    assert len(examples.ids(workspace, Filter(cluster=1))) == 2


def test_a_patch_sent_through_the_shell_counts_as_written(workspace: Workspace) -> None:
    patch = f"*** Begin Patch\n*** Add File: a.py\n+{text(1)}\n*** End Patch"
    command = {"cmd": f"apply_patch <<'EOF'\n{patch}\nEOF"}
    tell(workspace, 1, patch)
    store_session(workspace, "codex", [user("Please add the module"), *calls("exec_command", command, "ok")])
    examples.refresh(workspace)
    assert found(workspace) == {1: 1, 2: 1}


@pytest.mark.parametrize("name", ["NOTEBOOKEDIT", "Edit", "edit", "apply_patch", "some_edit"])
@pytest.mark.parametrize("broken", ["", '{"new_string": "cut o', "[1]", "null", "words"])
def test_an_edit_whose_arguments_are_no_object_is_compared_as_it_is_and_stops_nothing(
    workspace: Workspace, name: str, broken: str
) -> None:
    call = ToolCall(id="e", function=Function(name=name, arguments=broken))
    edit = [
        Message(role="assistant", tool_calls=[call], about=About(model="lab/model")),
        Message(role="tool", content="bad input", tool_call_id="e"),
    ]
    for number in (1, 2):
        store_session(workspace, f"ses_{number}", [user(f"Please add {number}"), *edit, says(text(1))])
    examples.refresh(workspace)
    assert found(workspace) == {1: 1, 2: 1}


def test_a_cluster_dissolves_when_the_example_between_changes(workspace: Workspace) -> None:
    middle = text(1)
    words = middle.split()
    one, other = " ".join(words[:165]), " ".join(words[35:])
    assert jaccard(shingles(one), shingles(other)) < 0.7  # alike through the middle one only
    for number, content in enumerate((one, middle, other), start=1):
        tell(workspace, number, content)
    examples.refresh(workspace)
    assert found(workspace) == {1: 1, 2: 1, 3: 1}
    tell(workspace, 2, text(9), fingerprint="2")
    examples.refresh(workspace)
    assert found(workspace) == {}
    tell(workspace, 2, middle, fingerprint="3")
    examples.refresh(workspace)
    assert found(workspace) == {1: 1, 2: 1, 3: 1}


def test_what_is_dropped_leaves_its_cluster(workspace: Workspace) -> None:
    for number in (1, 2, 3):
        tell(workspace, number, changed(text(1), 0.01, seed=number))
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET dropped = 'withdrawn' WHERE id = 1")
    clusters.recluster(workspace)
    assert found(workspace) == {2: 2, 3: 2}


def test_of_near_duplicates_the_accepted_one_stays_then_the_longer_then_the_newer(workspace: Workspace) -> None:
    base = text(1)
    for number, content in enumerate((base, base + " longer", base), start=1):
        tell(workspace, number, content, created=1_790_000_000_000 + number * 1000)
    examples.refresh(workspace)
    (cluster,) = clusters.report(workspace)
    assert [member.id for member in cluster.members] == [2, 3, 1]
    labels.decide(workspace, [1], "accept", author="ana")
    (cluster,) = clusters.report(workspace)
    assert [(member.id, member.keeps) for member in cluster.members] == [(1, True), (2, False), (3, False)]
    assert all(member.similarity >= 0.7 for member in cluster.members)
    assert clusters.near(workspace, 3) == cluster


def test_an_example_without_likes_is_in_no_cluster(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("Please do something else"), says("Done.")])
    examples.refresh(workspace)
    assert clusters.near(workspace, 1) is None
    assert clusters.report(workspace) == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.3])), min_size=2, max_size=24),
    st.integers(1, 23),
)
def test_comparing_in_two_steps_gives_what_comparing_at_once_gives(told: list[tuple[int, float]], first: int) -> None:
    texts = [shingles(changed(text(base), share, seed=place)) for place, (base, share) in enumerate(told)]
    marks = dict(enumerate(signatures(texts)))
    together, stepwise = Groups(), Groups()
    link(together, marks, (), texts.__getitem__)
    early = {place: mark for place, mark in marks.items() if place < first}
    link(stepwise, early, (), texts.__getitem__)
    late = {place: mark for place, mark in marks.items() if place >= first}
    link(stepwise, late, early.items(), texts.__getitem__)
    assert [together.of(place) for place in marks] == [stepwise.of(place) for place in marks]
