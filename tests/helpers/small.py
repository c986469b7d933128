"""A study cut down to what a test needs: every stage, few rows, one step."""

SMALL = [
    "data.train_size=16", "data.eval_size=24", "evaluate.general_size=40", "evaluate.bootstrap=100", "finetune.epochs=1",
    "rewriter.steps=1", "rewriter.prompts_per_step=2", "rewriter.group_size=2", "rewriter.warm_start_steps=1",
    "rewrite.best_of_k=2",
]  # fmt: skip


def options(*more: str) -> list[str]:
    """The same as options of the command line; `more` settings count over them."""
    return [word for setting in (*SMALL, *more) for word in ("--set", setting)]
