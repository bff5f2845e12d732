import { constants, readdirSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type koffiModule from 'koffi';
import { CodedError, messageOf } from '../base/errors.ts';
import { bindConnectAs, type ConnectAs } from './libc-connect.ts';
import { bindProcessCalls, type ProcessCalls } from './libc-spawn.ts';

type Koffi = typeof koffiModule;

/**
 * Same numbers on x64 and arm64, for glibc and musl. Source: Linux uapi asm-generic/fcntl.h, ioctls.h,
 * termbits.h.
 */
const O_CLOEXEC = 0o2000000;
const FD_CLOEXEC = 1;
const F_SETFD = 2;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const TIOCSWINSZ = 0x5414;
const TCSANOW = 0;
/** Larger than any `struct termios` (glibc and musl: 60 bytes). */
const TERMIOS_BYTES = 128;

/**
 * The few calls of the C library that Node does not offer. None of them waits. Every descriptor they make is
 * close-on-exec. Each throws CodedError `unavailable` with the call's name and errno.
 */
export interface Libc {
  /** A new PTY master, not blocking, its slave unlocked. The caller closes it. */
  openPtyMaster(): { readonly masterFd: number; readonly slavePath: string };
  setWindowSize(fd: number, rows: number, columns: number, pixels: { width: number; height: number }): void;
  /** Reads the settings of a terminal, lets `change` edit them in place, writes them back. */
  editTermios(fd: number, change: (termios: Buffer) => void): void;
  /** [reading end, writing end], blocking. */
  pipe(): readonly [number, number];
  socketPair(): readonly [number, number];
  /** A TCP socket that belongs to somebody else, and has begun to connect. */
  readonly connectAs: ConnectAs;
  /** Starts programs, and waits for them. */
  readonly processes: ProcessCalls;
  /** Makes `target` another name of `fd`, in one step. */
  replace(fd: number, target: number): void;
  /**
   * Marks every descriptor above standard error close-on-exec, so that the programs of a session do not
   * inherit those that were left open to us.
   */
  keepDescriptorsFromChildren(): void;
}

export type LibcLoad =
  | { readonly status: 'loaded'; readonly libc: Libc }
  /** Sessions work without a terminal; `reason` is one line. */
  | { readonly status: 'unavailable'; readonly reason: string };

/** Binds the C library this process runs on. Never throws. */
export async function loadLibc(): Promise<LibcLoad> {
  try {
    const { default: koffi } = await import('koffi');
    return { status: 'loaded', libc: bind(koffi) };
  } catch (e) {
    return {
      status: 'unavailable',
      reason: `no terminals: the C library cannot be called (${messageOf(e)})`,
    };
  }
}

function bind(koffi: Koffi): Libc {
  const lib = koffi.load(null);
  /** Calls that return -1 and set errno. */
  const checked = (definition: string): ((...args: unknown[]) => number) => {
    const call = lib.func(definition);
    return (...args) => {
      const result = call(...args) as number;
      if (result === -1)
        throw new CodedError(
          'unavailable',
          `${call.info.name} failed: ${getSystemErrorName(-koffi.errno())}`,
        );
      return result;
    };
  };
  const openpt = checked('int posix_openpt(int)');
  const grantpt = checked('int grantpt(int)');
  const unlockpt = checked('int unlockpt(int)');
  const ptsname = lib.func('int ptsname_r(int, _Out_ uint8_t *, size_t)');
  const ioctl = checked('int ioctl(int, unsigned long, ...)');
  const fcntl = checked('int fcntl(int, int, ...)');
  const tcgetattr = checked('int tcgetattr(int, _Out_ uint8_t *)');
  const tcsetattr = checked('int tcsetattr(int, int, uint8_t *)');
  const pipe2 = checked('int pipe2(_Out_ int *, int)');
  const socketpair = checked('int socketpair(int, int, int, _Out_ int *)');
  const dup3 = checked('int dup3(int, int, int)');
  const close = checked('int close(int)');

  const pathOf = (masterFd: number): string => {
    const name = Buffer.alloc(128);
    const errno = ptsname(masterFd, name, name.length) as number;
    if (errno !== 0) throw new CodedError('unavailable', `ptsname_r failed: ${getSystemErrorName(-errno)}`);
    return name.toString('latin1', 0, name.indexOf(0));
  };
  const two = (call: (fds: Int32Array) => void): readonly [number, number] => {
    const fds = new Int32Array(2);
    call(fds);
    return [fds[0] ?? -1, fds[1] ?? -1];
  };

  return {
    openPtyMaster() {
      const masterFd = openpt(constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | O_CLOEXEC);
      try {
        grantpt(masterFd);
        unlockpt(masterFd);
        return { masterFd, slavePath: pathOf(masterFd) };
      } catch (e) {
        close(masterFd);
        throw e;
      }
    },
    setWindowSize(fd, rows, columns, { width, height }) {
      const size = Buffer.from(Uint16Array.of(rows, columns, width, height).buffer);
      ioctl(fd, TIOCSWINSZ, 'uint8_t *', size);
    },
    editTermios(fd, change) {
      const termios = Buffer.alloc(TERMIOS_BYTES);
      tcgetattr(fd, termios);
      change(termios);
      tcsetattr(fd, TCSANOW, termios);
    },
    connectAs: bindConnectAs(koffi, lib),
    processes: bindProcessCalls(lib),
    pipe: () => two((fds) => pipe2(fds, O_CLOEXEC)),
    socketPair: () => two((fds) => socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, fds)),
    replace(fd, target) {
      dup3(fd, target, O_CLOEXEC);
    },
    keepDescriptorsFromChildren() {
      for (const name of readdirSync('/proc/self/fd')) {
        const fd = Number(name);
        if (fd <= 2) continue;
        try {
          fcntl(fd, F_SETFD, 'int', FD_CLOEXEC);
        } catch (e) {
          if (!(e instanceof CodedError)) throw e; // the one with which the folder was read is closed by now
        }
      }
    },
  };
}
