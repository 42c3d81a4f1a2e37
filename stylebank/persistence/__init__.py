"""A run that outlives its process: saved, continued by its rules, its bank written where nobody's work is lost."""
