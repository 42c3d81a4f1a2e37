"""Styles and photos in, bank out: the joint training, one more style, and what both stand on."""
