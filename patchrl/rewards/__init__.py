"""The reward of a group of rewrites and its three parts. No torch here: `patchrl.rewards.trl` adapts
it to GRPO, `patchrl.rewards.measures` and `patchrl.rewards.own_answers` read the backbone."""

from patchrl.rewards.alignment import alignment
from patchrl.rewards.consistency import consistency
from patchrl.rewards.diversity import diversity, mean_pairwise_distance
from patchrl.rewards.group import GroupRewards, group_rewards

__all__ = ["GroupRewards", "alignment", "consistency", "diversity", "group_rewards", "mean_pairwise_distance"]
