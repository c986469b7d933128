"""Evaluation by lm-evaluation-harness, beside the gate.

Why it is as it is:
- It is an extra (`patchrl[harness]`). The app starts without it and never imports it: `names` asks a short-lived
  process (`index`) which tasks exist, and the worker of a run loads them (`benchmark`) before anything is trained.
- Held-out examples, `nano` and data files stay with the gate, so that an answer is judged as in training. The nano
  skills and the `math` preset are task files here too, judged by the same verifier, for whoever runs lm-eval itself.
- Answers come from `Backbone`, likelihoods from the harness's own code (`model`); every item becomes a prediction row
  (`measure`), so that bootstrap, comparisons and reports know no difference. Where a task filters its answers strictly
  and leniently (GSM8K), the lenient filter counts: the no-answer rate shows a lost format.
"""
