"""Merging LoRA adapters: read module by module from their files, without a base model and without PEFT.

What an adapter does to a layer is ΔW = scale · B · A, and that is what is merged here. PEFT 0.21's add_weighted_adapter
combines the A's and the B's separately (all but its `cat` and `svd`), so that its result holds every cross term
BᵢAⱼ: wrong by 100 % and more; its `svd` takes hours for a 7B base that it also needs in memory. mergekit 0.1 merges
full models only. Both were read and run before this was written; `benchmarks/merge.py` shows them side by side.
"""
