"""A log daemon: prints each datagram that comes to the UNIX socket argv[1] as a line of JSON, until standard input ends."""
import json, select, socket, sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print('listening', flush=True)
while True:
    ready, _, _ = select.select([listener, sys.stdin], [], [])
    if listener not in ready:
        break
    print(json.dumps(listener.recv(1 << 16).decode()), flush=True)
