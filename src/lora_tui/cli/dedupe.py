"""`lora-tui dedupe`: near-duplicates."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import NUMBER, Cli, ago, json_option, pass_cli, table
from lora_tui.curation import clusters
from lora_tui.curation.clusters import Cluster
from lora_tui.curation.repeated_answers import repeated_answers


@click.group("dedupe", cls=Group)
def group() -> None:
    """Examples that are almost the same. Nothing is removed: a dataset takes one of each cluster."""


@group.command("report")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="How many clusters to show.")
@click.option("--id", "identity", type=NUMBER, help="Only the cluster of this example.")
@click.option("--answers", is_flag=True, help="Instead: answers given word for word to several requests.")
@json_option
@pass_cli
def report(cli: Cli, limit: int, identity: int | None, answers: bool) -> None:
    """Show the clusters, the largest first: their members and which one a dataset would keep.

    Kept is what you accepted, else the longer, else the newer one. Compared is what was asked and written.
    """
    if answers:
        _answers(cli, limit)
        return
    with cli.progress("comparing examples") as advance:
        clusters.recluster(cli.workspace, advance)
    if identity is None:
        found = clusters.report(cli.workspace, limit)
    else:
        one = clusters.near(cli.workspace, identity)
        found = [one] if one is not None else []
    total = clusters.count(cli.workspace)

    def text() -> str:
        if not found:
            return f"example {identity} has no near-duplicates" if identity else "no near-duplicates"
        shown = "\n\n".join(_shown(cluster) for cluster in found)
        counted = f"{total.clusters:,} clusters of {total.examples:,} examples; {total.surplus:,} would be left out"
        return f"{shown}\n\n{counted}"

    cli.emit({**msgspec.to_builtins(total), "shown": msgspec.to_builtins(found)}, text)


def _answers(cli: Cli, limit: int) -> None:
    found = repeated_answers(cli.workspace)
    rows = [
        (len(answer.ids), answer.characters, ", ".join(map(str, answer.ids[:8])), answer.requests[0][:60])
        for answer in found[:limit]
    ]
    cli.emit(
        {"total": len(found), "answers": msgspec.to_builtins(found[:limit])},
        lambda: table(rows, ("times", "chars", "ids", "first request"), empty="no answer was given twice"),
    )


def _shown(cluster: Cluster) -> str:
    rows = [
        (
            "keep" if member.keeps else "",
            member.id,
            member.decision or "·",
            member.language,
            member.characters,
            ago(member.created),
            f"{member.similarity:.2f}",
            member.request[:60],
        )
        for member in cluster.members
    ]
    headings = ("", "id", "label", "language", "chars", "age", "alike", "request")
    return f"cluster {cluster.id}, {len(rows)} examples\n{table(rows, headings)}"
