"""The reward of a group of rewrites and its three parts. This door needs no torch.

`patchrl.rewards.group_score` scores groups with the backbone and the gate; `patchrl.rewards.trl` adapts that to GRPO.
"""

from patchrl.rewards.alignment import alignment
from patchrl.rewards.consistency import consistency
from patchrl.rewards.diversity import diversity, mean_pairwise_distance
from patchrl.rewards.group import GroupRewards, group_rewards

__all__ = ["GroupRewards", "alignment", "consistency", "diversity", "group_rewards", "mean_pairwise_distance"]
