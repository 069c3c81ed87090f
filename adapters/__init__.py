"""One package per framework; each translates and none decides. Import the one you use."""
