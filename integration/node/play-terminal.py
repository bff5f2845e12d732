"""usage: play-terminal.py ROWS COLUMNS STEPS COMMAND...
Runs COMMAND on a terminal of this size. STEPS is JSON, a list of [MARKER, KEYS, SECONDS]: when MARKER was printed, KEYS are typed (or the
signal NAME is sent for `signal:NAME`); SECONDS is how long to wait for the marker. Prints as JSON how it ended, whether the terminal is
as it was before, everything that was printed, and after how many seconds each marker came since the step before."""
import fcntl, json, os, pty, select, signal, struct, subprocess, sys, termios, time

rows, columns, steps, command = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
source, terminal = pty.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
settings = lambda: termios.tcgetattr(terminal)[:4]
before = settings()
since = time.monotonic()
child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
seen, at, times = bytearray(), 0, []


def read(limit):
    """False: nothing comes any more."""
    if not select.select([source], [], [], max(0, limit - time.monotonic()))[0]:
        return False
    seen.extend(os.read(source, 65536))
    return True


for marker, keys, seconds in steps:
    limit, wanted = time.monotonic() + seconds, marker.encode()
    looked = at
    while (found := seen.find(wanted, looked)) < 0:
        looked = max(at, len(seen) - len(wanted))
        if not read(limit):
            child.kill()
            sys.exit('the marker %r was not printed: %r' % (marker, bytes(seen[-2000:])))
    times.append(round(time.monotonic() - since, 3))
    at = found + len(wanted)
    since = time.monotonic()
    if keys.startswith('signal:'):
        child.send_signal(getattr(signal, 'SIG' + keys[7:]))
    elif keys:
        os.write(source, keys.encode())
end = time.monotonic() + 30
while child.poll() is None and time.monotonic() < end:
    read(time.monotonic() + 0.1)
while read(time.monotonic() + 0.1):
    pass
status = child.poll()
if status is None:
    child.kill()
    sys.exit('it does not end: %r' % bytes(seen[-2000:]))
print(json.dumps({'status': status, 'restored': settings() == before, 'times': times, 'shown': seen.decode('utf8', 'replace')}))
