"""The browser door: thin tabs over `patchrl.api`."""
