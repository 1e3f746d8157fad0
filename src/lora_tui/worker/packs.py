"""Which rows go into one pack: several rows in one, none of which sees another."""

from __future__ import annotations

from collections.abc import Sequence


def packs_of(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices of the rows of each pack of at most `size` tokens, by first-fit decreasing.

    A tree over the packs holds the most room below each node, so that a pack is found in log n steps.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    leaves = 1 << max(0, len(order) - 1).bit_length()
    room = [size] * (2 * leaves)
    packs: list[list[int]] = []
    for index in order:
        node = 1
        while node < leaves:
            node *= 2
            if room[node] < lengths[index]:
                node += 1
        if node - leaves == len(packs):
            packs.append([])
        packs[node - leaves].append(index)
        room[node] -= lengths[index]
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return packs
