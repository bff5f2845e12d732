"""The asyncssh side of ssh-interop.test.ts.

client PORT KEY KNOWN_HOSTS HOST_ALGORITHM COMMAND   runs COMMAND and prints what it wrote
server AUTHORIZED_KEYS HOST_KEY...                   prints LISTENING and its port, then serves until it is killed
"""

import asyncio
import sys

import asyncssh


async def client(port, key, known_hosts, host_algorithm, command):
    async with asyncssh.connect(
        '127.0.0.1',
        int(port),
        username='root',
        client_keys=[(key, key + '-cert.pub')],
        known_hosts=known_hosts,
        server_host_key_algs=[host_algorithm],
        agent_path=None,
    ) as connection:
        result = await connection.run(command)
        sys.stdout.write(result.stdout)


async def server(authorized_keys, *host_keys):
    class Server(asyncssh.SSHServer):
        def begin_auth(self, username):
            return True

    async def handle(process):
        process.stdout.write('asyncssh ran ' + str(process.command))
        process.exit(0)

    listener = await asyncssh.create_server(
        Server,
        '127.0.0.1',
        0,
        server_host_keys=[(key, key + '-cert.pub') for key in host_keys],
        authorized_client_keys=authorized_keys,
        process_factory=handle,
    )
    print('LISTENING', listener.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run({'client': client, 'server': server}[sys.argv[1]](*sys.argv[2:]))
