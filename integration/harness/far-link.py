#!/usr/bin/env python3
"""A link between this machine and a network namespace, with a delay and a loss: two TUN devices, and this program between them.

usage: far-link.py NEAR FAR NAMESPACE DELAY_MS LOSS_PERCENT

Prints "ready" when both devices are there; FAR is in the namespace then. Standard input takes "stall" and "go": while it is
stalled every packet is lost. Ends with its standard input. The delay is that of one direction. The same packets are lost in
each run, as far as they are the same.
"""
import fcntl, heapq, os, random, select, struct, subprocess, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


near_name, far_name, namespace, delay_ms, loss_percent = sys.argv[1:]
delay, loss = float(delay_ms) / 1000, float(loss_percent) / 100
near, far = tun(near_name), tun(far_name)
subprocess.run(["ip", "link", "set", far_name, "netns", namespace], check=True)
print("ready", flush=True)

luck = random.Random(7)
stalled = False
under_way = []  # (when, number, where, packet)
number = 0
while True:
    now = time.monotonic()
    while under_way and under_way[0][0] <= now:
        _, _, where, packet = heapq.heappop(under_way)
        try:
            os.write(where, packet)
        except OSError:
            pass  # the device is down, or its queue is full: a packet lost
    wait = under_way[0][0] - now if under_way else None
    for fd in select.select([near, far, 0], [], [], wait)[0]:
        if fd == 0:
            words = os.read(0, 4096).decode().split()
            if not words:
                sys.exit(0)
            stalled = words[-1] == "stall"
            continue
        try:
            packet = os.read(fd, 65536)
        except OSError:
            continue
        if stalled or luck.random() < loss:
            continue
        number += 1
        heapq.heappush(under_way, (time.monotonic() + delay, number, far if fd == near else near, packet))
