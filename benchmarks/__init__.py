"""Figures beside the raw driver, in the same run on the same medium, as ratios. They print, they do not fail."""
