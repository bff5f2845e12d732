"""A file system that is served from afar: an empty directory by FUSE, mounted at argv[1] until standard input ends.
Prints a line when it is mounted, and one for each call that would have changed something."""
import ctypes, errno, os, select, struct, sys

INIT, GETATTR, LOOKUP, STATFS, ACCESS = 26, 3, 1, 17, 34
NO_ANSWER = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
CHANGES = {4: 'setattr', 6: 'symlink', 8: 'mknod', 9: 'mkdir', 10: 'unlink', 11: 'rmdir', 12: 'rename', 16: 'write', 35: 'create'}

path = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={device},rootmode=40700,user_id={os.getuid()},group_id={os.getgid()}'.encode()
if libc.mount(b'afar', path.encode(), b'fuse', 0, options) != 0:
    sys.exit(f'cannot mount: {os.strerror(ctypes.get_errno())}')
print('mounted', flush=True)


def answer(unique, body=b'', error=0):
    os.write(device, struct.pack('<IiQ', 16 + len(body), -error, unique) + body)


while True:
    ready, _, _ = select.select([device, sys.stdin], [], [])
    if device not in ready:
        break
    request = os.read(device, 1 << 20)
    _, opcode, unique = struct.unpack('<IIQ', request[:16])
    if opcode == INIT:
        answer(unique, struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7))
    elif opcode == GETATTR:
        times = struct.pack('<QQQIII', 0, 0, 0, 0, 0, 0)
        mode = struct.pack('<IIIIIII', 0o40700, 2, os.getuid(), os.getgid(), 0, 4096, 0)
        answer(unique, struct.pack('<QII', 1, 0, 0) + struct.pack('<QQQ', 1, 0, 0) + times + mode)
    elif opcode == STATFS:
        answer(unique, struct.pack('<5Q', 1 << 20, 1 << 20, 1 << 20, 100, 100) + struct.pack('<4I6I', 4096, 255, 4096, 0, *[0] * 6))
    elif opcode == ACCESS:
        answer(unique)
    elif opcode not in NO_ANSWER:
        if opcode in CHANGES:
            print(CHANGES[opcode], flush=True)
        answer(unique, error=errno.ENOENT if opcode == LOOKUP else errno.ENOSYS)
libc.umount2(path.encode(), 2)
