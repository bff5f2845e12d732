"""usage: terminal-signal.py terminal|stalled-terminal|stalled-pipe SIGNAL MARKER COMMAND...
Runs COMMAND, its streams on a terminal of its own or its output on a pipe, until it has printed MARKER, sends it SIGNAL, and
prints as JSON how it ended (as subprocess has it: -15 for SIGTERM) and whether the terminal is as it was before.
`stalled-`: reads nothing after MARKER, and sends the signal only when the command's writes find no more room."""
import fcntl, json, os, pty, select, signal, subprocess, sys, termios, threading, time

mode, name, marker, command = sys.argv[1], sys.argv[2], sys.argv[3].encode(), sys.argv[4:]
limit = time.monotonic() + 30
if mode == 'stalled-pipe':
    source, sink = os.pipe()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.DEVNULL)
else:
    source, terminal = pty.openpty()
    settings = lambda: termios.tcgetattr(terminal)[:4]
    before = settings()
    child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))


def give_up(why):
    child.kill()
    sys.exit(why)


def waiting():
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)


def wait_until_full():
    """Full is what has not grown for a second."""
    most, since = 0, time.monotonic()
    while most == 0 or time.monotonic() - since < 1:
        if waiting() != most:
            most, since = waiting(), time.monotonic()
        if time.monotonic() > limit:
            give_up('it does not fill')
        time.sleep(0.05)


def drain():
    try:
        while os.read(source, 65536):
            pass
    except OSError:
        pass  # the other side was closed


seen = b''
while marker not in seen:
    if not select.select([source], [], [], max(0, limit - time.monotonic()))[0]:
        give_up('the marker was not printed: ' + repr(seen))
    seen += os.read(source, 4096)
if mode == 'terminal':
    threading.Thread(target=drain, daemon=True).start()
else:
    wait_until_full()
child.send_signal(getattr(signal, 'SIG' + name))
try:
    status = child.wait(20)
except subprocess.TimeoutExpired:
    child.kill()
    status = 'still there'
print(json.dumps({'status': status, 'restored': mode == 'stalled-pipe' or settings() == before}))
