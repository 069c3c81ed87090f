"""Testing: what stands in for the parts of this library in a test."""
