"""One module per benchmark, and the plain code that each is measured against."""
