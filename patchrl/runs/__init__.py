"""What a run leaves on disk: one folder, its events, and the recorder that writes them."""
