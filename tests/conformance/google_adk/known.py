REFUSED: dict[str, str] = {}
DIFFERS: dict[str, str] = {}
