"""Word problems and everyday questions for real backbones, made by PatchRL: nothing is downloaded."""
