"""The comparison itself: every way to train a profile on a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from lora_tui.backends.compare import elsewhere, here
from lora_tui.backends.compare.elsewhere import Asked
from lora_tui.backends.compare.past import past
from lora_tui.backends.compare.prices import prices
from lora_tui.backends.compare.way import Comparison, Way
from lora_tui.backends.compare.work import work
from lora_tui.dataset.model import Dataset
from lora_tui.workspace.config import load_config
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.schema import Backend

HOURS_PER_DAY = 4.0  # of use, where nobody says how much
_DAYS = 365 / 12  # a month


def compare(
    workspace: Workspace,
    profiles: Mapping[Backend, Profile],
    dataset: Dataset,
    *,
    hours_per_day: float = HOURS_PER_DAY,
    live: bool = False,
) -> Comparison:
    """Every way, the local ones first. Starts no engine; asks for prices only where `live`, and where a key is set.

    profiles: the profile as each kind of backend has it; "local" for all that are not there.
    hours_per_day: how long the fine-tuned model is served each day.
    Raises BadInput for a base that is no model, and for a mistake in prices.toml or config.toml.
    """
    table = prices(workspace)
    use = hours_per_day * _DAYS
    runs = past(workspace)
    own = profiles["local"]

    def asked(backend: Backend) -> Asked:
        profile = profiles.get(backend, own)
        done = work(workspace, profile, dataset, table.formula)
        return Asked(profile, dataset.manifest.hash, done, table, runs, use, live)

    local = work(workspace, own, dataset, table.formula)
    rented, at_together = asked("rented"), asked("together")
    with ThreadPoolExecutor(3) as pool:  # each may have to wait for an answer
        waiting = [pool.submit(elsewhere.together_ai, at_together)]
        waiting += [pool.submit(elsewhere.rented, rented, provider) for provider in ("runpod", "vast")]
        found: list[Way] = list(here.ways(workspace, own, dataset, local, table.formula, use))
    found += [item.result() for item in waiting]
    found += elsewhere.hosts(rented, load_config(workspace).hosts)
    return Comparison(
        profile=own.name,
        dataset=dataset.label,
        base=local.base,
        rows=local.rows,
        tokens=local.tokens,
        tokens_source=local.source,
        hours_per_day=hours_per_day,
        asked_live=live,
        ways=tuple(found),
    )
