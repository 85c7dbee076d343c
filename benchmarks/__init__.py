"""Side-by-side measurements against peers and limits; each prints a table of ratios."""
