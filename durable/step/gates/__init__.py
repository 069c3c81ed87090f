"""Gates: what a call passes before its body runs, each with one verdict."""
