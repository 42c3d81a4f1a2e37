"""Pictures that move: painted frame after frame so that they hold still where the scene does."""
