"""An MCP server over stdio: ``python adk_mcp_server.py LEDGER``. Its one tool writes a line in LEDGER."""

from __future__ import annotations

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("shop")


@server.tool()
def pay(amount: int) -> str:
    """Pay."""
    with Path(sys.argv[1]).open("a") as ledger:
        ledger.write(f"pay {amount}\n")
    return f"paid {amount}"


server.run()
