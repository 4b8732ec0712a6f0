import asyncio

ROUNDS = 3  # of the event loop, in which what is being accepted gets its transport and its protocol


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server; when this returns, every connection that it took has been told to its protocol.

    `Server.close` alone would leave one that is just being accepted without anybody to close it.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener)
    for _ in range(ROUNDS):
        await asyncio.sleep(0)
    server.close()
