"""The server: one client, on stdin and stdout, until it closes them. Nothing listens, and the library is only read.

All questions go through one thread, in their order: a library is for one thread.
"""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from photosearch import Library, __version__
from photosearch.errors import PhotosearchError, StoreError
from photosearch.mcp.tools import TOOLS, Part, call

INSTRUCTIONS = (
    "Searches the user's own photos on this computer. Nothing can be changed. Ask for pictures only if needed."
)


def serve(path: Path) -> None:
    """Serve a library until stdin ends. Raises StoreError."""
    with ThreadPoolExecutor(1) as thread, ExitStack() as until_end:
        library = thread.submit(lambda: Library(path, create=False, read_only=True)).result()
        until_end.callback(lambda: thread.submit(library.close).result())
        thumbnails = until_end.enter_context(library.open_thumbnails())
        opened = thread.submit(library.identify).result()

        def ask(name: str, given: dict[str, Any]) -> list[Part]:
            if library.identify() != opened:
                raise StoreError(f"{path}: was rebuilt, emptied or moved; start photosearch mcp again")
            return call(library, thumbnails, name, given)

        async def answer(_: Any, params: CallToolRequestParams) -> CallToolResult:
            loop = asyncio.get_running_loop()
            try:
                parts = await loop.run_in_executor(thread, ask, params.name, params.arguments or {})
            except PhotosearchError as error:
                return CallToolResult(content=[TextContent(text=_to_line(str(error)))], is_error=True)
            return CallToolResult(content=[_to_content(part) for part in parts])

        server = Server(
            "photosearch", version=__version__, instructions=INSTRUCTIONS, on_list_tools=_list_tools,
            on_call_tool=answer,
        )  # fmt: skip
        asyncio.run(_run(server))


async def _run(server: "Server[Any]") -> None:
    async with stdio_server() as (messages, answers):
        await server.run(messages, answers, server.create_initialization_options())


async def _list_tools(_: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
    return ListToolsResult(
        tools=[
            Tool(name=name, description=tool.description, input_schema=tool.arguments.model_json_schema(),
                 annotations=reads)
            for name, tool in TOOLS.items()
        ]
    )  # fmt: skip


def _to_content(part: Part) -> TextContent | ImageContent:
    if isinstance(part, str):
        return TextContent(text=_escape(part))
    return ImageContent(data=base64.b64encode(part).decode(), mime_type="image/jpeg")


def _to_line(text: str) -> str:
    """A message that may name a path, without its line ends and other controls."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _escape(text: str) -> str:
    """Without the parts of a path that are not UTF-8, which no message can hold."""
    return text.encode(errors="backslashreplace").decode()
