"""`python -m tests.benchmarks.update [MODEL_FOLDER …]`: a GRPO step of ours, with the gated reward, and of TRL's, with a constant one.

The same prompts and lengths, each training in a process of its own, one after the other, in turns. Without a folder the nano
backbone is trained. Prints seconds of a step on one thread of the processor, which other processes do not lengthen as they do
seconds of the clock, and the peak of resident memory. Where a GPU works (`tests.gpu`) the seconds are the clock's and the memory
the GPU's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

GROUP = 8
KINDS = ("ours", "TRL", "TRL's reading")  # the last: ours, with TRL's own reading in the update


def prepared(model: str, prompt_tokens: int) -> tuple[Any, Any]:
    """A backbone that never ends a turn, so that completions have one length, and an example with a prompt of that length."""
    import torch

    from patchrl.config import BackboneSection
    from patchrl.config.instructions import rewrite_prompt
    from patchrl.models.backbone import Backbone
    from patchrl.types import Example

    dtype = "bfloat16" if torch.cuda.is_available() else "float32"
    backbone = Backbone.load(BackboneSection(model=model, dtype=dtype))
    stops = sorted(backbone.stop_ids)
    words = len(backbone.tokenizer)

    def suppress(module: Any, inputs: Any, logits: Any) -> Any:
        for stop in stops:  # one by one: a list would be copied to the GPU within the captured graph
            logits[..., stop] -= 1e4
        logits[..., words:] -= 1e4  # a vocabulary may be larger than its tokenizer
        return logits

    backbone.model.get_output_embeddings().register_forward_hook(suppress)
    question = "Ben has 3 boxes."
    while len(backbone.prompt_ids(rewrite_prompt("own-words", question, "3 + 4 = 7"))) < prompt_tokens:
        question += " box"
    return backbone, [Example(str(n), question.replace("3", str(n)), "3 + 4 = 7", "7") for n in range(2, 10)]


def train(
    kind: str,
    model: str,
    steps: int,
    rollouts: int,
    prompt_tokens: int,
    new_tokens: int,
    microbatch: int | None = None,
    group: int = GROUP,
) -> dict[str, float]:
    """Seconds of a step, of them those of our rewards, and MB of memory at its highest and before the training."""
    import torch
    from helpers.contexts import SilentRecorder, context_of
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    from patchrl.config import resolve
    from patchrl.config.instructions import rewrite_prompt
    from patchrl.grading.gate import Gate
    from patchrl.training import train_rewriter as stage
    from patchrl.types import Verdict

    torch.set_num_threads(1)
    seconds: list[float] = []
    rewards: list[float] = []

    class Recorder(SilentRecorder):
        def event(self, kind, **fields):
            if kind == "train":
                rewards.append(fields["reward_seconds"])

    class Passing(Gate):
        """Every rewrite passes, so that every one is scored."""

        def check(self, examples, texts, embeddings=None):
            return [Verdict(True, "") for _ in texts]

    class Times(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            self.began = now()

        def on_step_end(self, args, state, control, **_):
            seconds.append(now() - self.began)

    class Timed(stage.SharedPromptTrainer):
        def __init__(self, *args, callbacks, **options):
            super().__init__(*args, callbacks=[Times(), *callbacks], **options)
            self.shares_prompts &= kind == "ours"

    backbone, examples = prepared(model, prompt_tokens)
    settings = {
        "steps": steps,
        "prompts_per_step": rollouts // group,
        "group_size": group,
        "max_new_tokens": new_tokens,
    }
    config = resolve({"rewriter": settings | {"warm_start_steps": 0, "microbatch_size": microbatch or rollouts}})
    before = memory_mb(reset=True)
    with tempfile.TemporaryDirectory() as folder, Passing(config, backbone) as gate:
        if kind == "TRL":
            lora = LoraConfig(r=config.rewriter.lora_rank, target_modules="all-linear", task_type="CAUSAL_LM")
            texts = [rewrite_prompt("own-words", e.question, e.solution) for e in examples]
            arguments = stage.trainer_config(config, 0, Path(folder), backbone)
            arguments.reward_weights = None
            GRPOTrainer(
                model=backbone.model,
                reward_funcs=lambda completions, **_: [float(i % 2) for i in range(len(completions))],
                args=arguments,
                train_dataset=stage.Dataset.from_list([{"prompt": [{"role": "user", "content": t}]} for t in texts]),
                processing_class=backbone.tokenizer,
                peft_config=lora,
                callbacks=[Times()],
            ).train()
        else:
            stage.SharedPromptTrainer = Timed
            stage.train_rewriter(context_of(config, gate, Path(folder), Recorder()), examples, 0, Path(folder))
    measured = {"seconds": statistics.median(seconds[1:] or seconds), "peak_mb": memory_mb(), "before_mb": before}
    return measured | ({"reward_seconds": statistics.median(rewards[1:] or rewards)} if rewards else {})


def now() -> float:
    """Seconds of this process's processor, or of the clock once a GPU has done its work."""
    import torch

    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def memory_mb(reset: bool = False) -> float:
    """The highest resident memory of this process so far, or of the GPU since the last reset."""
    import torch

    if not torch.cuda.is_available():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.max_memory_allocated() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["nano"])
    parser.add_argument("--steps", type=int, default=2, help="of several the first is not counted")
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=120, help="tokens")
    parser.add_argument("--new", type=int, default=40, help="tokens")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--kind", choices=KINDS, help="measure this one in this process")
    arguments = parser.parse_args()
    sizes = arguments.steps, arguments.rollouts, arguments.prompt, arguments.new
    if arguments.kind:
        with contextlib.redirect_stdout(sys.stderr):  # TRL prints its logs
            measured = train(arguments.kind, arguments.models[0], *sizes)
        print(json.dumps(measured))
        return
    for model in arguments.models:
        runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(arguments.repeats):
            for kind in KINDS:
                command = [sys.executable, "-m", "tests.benchmarks.update", model, "--kind", kind]
                names = "--steps", "--rollouts", "--prompt", "--new"
                command += [part for name, size in zip(names, sizes, strict=True) for part in (name, str(size))]
                output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
                runs[kind].append(json.loads(output))
                print(Path(model).name, sizes, kind, output.strip(), flush=True)
        means = {k: {name: statistics.mean(r[name] for r in rows) for name in rows[0]} for k, rows in runs.items()}
        ratios = {
            f"{name}, ours / {kind}": round(means["ours"][name] / means[kind][name], 3)
            for name in ("seconds", "peak_mb")
            for kind in KINDS[1:]
        }
        print(Path(model).name, sizes, json.dumps(ratios), flush=True)


if __name__ == "__main__":
    main()
