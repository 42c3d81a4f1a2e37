"""What the studio paints with: photos in memory, recipes, small pictures and parts of large ones."""
