"""Baselines of other papers, beside the method. They override private methods of TRL and are tested with the pinned version:
after an update of TRL look here first."""
