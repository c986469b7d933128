"""The settings of a study. Import settings, loading and presets from here; arms, instructions and evaluation tasks
from their modules."""

from patchrl.config.catalog import Setting, settings
from patchrl.config.inputs import (
    MAX_ROWS,
    NAMED_BACKBONES,
    SMOLLM2,
    BackboneSection,
    DataSection,
    EngineSection,
    StudySection,
)
from patchrl.config.loading import absolute_paths, apply_overrides, is_preset, load_config, read_config, resolve
from patchrl.config.presets import Preset, presets
from patchrl.config.sections import (
    SECTIONS,
    Alignment,
    EvaluateSection,
    FinetuneSection,
    GateSection,
    OnPolicySection,
    RewardSection,
    RewriterSection,
    RewriteSection,
    StudyConfig,
)
from patchrl.config.toml import differences, to_toml

__all__ = [
    "MAX_ROWS",
    "NAMED_BACKBONES",
    "SECTIONS",
    "SMOLLM2",
    "Alignment",
    "BackboneSection",
    "DataSection",
    "EngineSection",
    "EvaluateSection",
    "FinetuneSection",
    "GateSection",
    "OnPolicySection",
    "Preset",
    "RewardSection",
    "RewriteSection",
    "RewriterSection",
    "Setting",
    "StudyConfig",
    "StudySection",
    "absolute_paths",
    "apply_overrides",
    "differences",
    "is_preset",
    "load_config",
    "presets",
    "read_config",
    "resolve",
    "settings",
    "to_toml",
]
