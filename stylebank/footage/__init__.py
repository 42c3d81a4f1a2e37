"""Moving pictures as files: films, animations and numbered images, read and written as they are."""
