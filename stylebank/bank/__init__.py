"""What a bank is, in memory and on disk, and how one grows; needs no PyTorch, paints and trains nothing."""
