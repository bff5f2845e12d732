import { chmodSync, closeSync, constants, fchownSync, openSync } from 'node:fs';
import { type OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { messageOf } from '../base/errors.ts';
import type { WindowSize } from '../ssh/channel-types.ts';
import type { Libc } from './libc.ts';
import { applyTerminalModes } from '../ssh/terminal-modes.ts';

/** Who owns the terminal's device file. */
export interface PtyOwner {
  readonly uid: number;
  /** The group `tty` where there is one, so that write(1) and wall(1) work and nobody else. */
  readonly gid: number;
}

export interface PtyOptions {
  readonly libc: Libc;
  readonly owner: PtyOwner;
  readonly size: WindowSize;
  /** Opcode to value. Source: RFC 4254, 8. */
  readonly modes: ReadonlyMap<number, number>;
}

const MAX_SIDE = 4096;
const MAX_PIXELS = 0xffff;
const DEVICE_MODE = 0o620;

/** Invalid sizes from a client (0, or beyond any screen) become the usual ones. */
export function usableSize(size: WindowSize): WindowSize {
  const fits = (n: number): boolean => n >= 1 && n <= MAX_SIDE;
  return fits(size.columns) && fits(size.rows) ? size : { ...size, columns: 80, rows: 25 };
}

function setSize(libc: Libc, fd: number, size: WindowSize): void {
  const { rows, columns, widthPixels, heightPixels } = usableSize(size);
  libc.setWindowSize(fd, rows, columns, {
    width: Math.min(widthPixels, MAX_PIXELS),
    height: Math.min(heightPixels, MAX_PIXELS),
  });
}

/**
 * A pseudo-terminal. The master is `stream`: what programs print is read from it, with back-pressure on them;
 * what the person types is written to it. It ends when no program holds the slave any more. The opener closes
 * it: `close()`.
 */
export class Pty {
  readonly path: string;
  readonly stream: Duplex;
  /** Why the device file does not belong to its user; programs that have it open already do not need that. */
  readonly notOwned: string | undefined;
  readonly #libc: Libc;
  readonly #masterFd: number;
  readonly #socket: Socket;
  #slaveFd: number | undefined;

  /** @throws CodedError `unavailable` when the system has no terminal left. */
  constructor({ libc, owner, size, modes }: PtyOptions) {
    this.#libc = libc;
    const { masterFd, slavePath } = libc.openPtyMaster();
    this.path = slavePath;
    try {
      this.#slaveFd = openSync(slavePath, constants.O_RDWR | constants.O_NOCTTY); // Node adds O_CLOEXEC
      this.notOwned = giveTo(owner, this.#slaveFd, slavePath);
      libc.editTermios(this.#slaveFd, (termios) => {
        applyTerminalModes(termios, modes);
      });
      setSize(libc, masterFd, size);
      const stream = new MasterStream((onread) => socketOver(libc, masterFd, onread));
      this.#masterFd = stream.fd;
      this.#socket = stream.socket;
      this.stream = stream;
    } catch (e) {
      this.closeSlave();
      throw e;
    } finally {
      closeSync(masterFd); // `socketOver` made a second name of it
    }
  }

  /** Standard input, output and error of the program; undefined once closed. */
  get slaveFd(): number | undefined {
    return this.#slaveFd;
  }

  /** To be called when the program holds the slave itself: the master ends only when all have closed it. */
  closeSlave(): void {
    if (this.#slaveFd !== undefined) closeSync(this.#slaveFd);
    this.#slaveFd = undefined;
  }

  /** Also signals the programs (SIGWINCH). */
  resize(size: WindowSize): void {
    // Once the socket is closed its number may belong to something else.
    if (!this.#socket.destroyed) setSize(this.#libc, this.#masterFd, size);
  }

  /** Programs that still use it are sent HUP by the system. */
  close(): void {
    this.closeSlave();
    this.stream.destroy();
  }
}

/** A file system of devices that is read-only, or of another user namespace, refuses. Returns why. */
function giveTo(owner: PtyOwner, fd: number, path: string): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    fchownSync(fd, owner.uid, owner.gid);
    chmodSync(path, DEVICE_MODE);
    return undefined;
  } catch (e) {
    return messageOf(e);
  }
}

/**
 * Node has no public handle for a descriptor that is a terminal and must not block: `tty` handles write to a
 * master in blocking mode, and one program that does not read would stop the whole daemon. So a socket is
 * opened on a throw-away descriptor, which is then made another name of the master before libuv looks at it
 * for the first time.
 */
function socketOver(libc: Libc, masterFd: number, onread: OnReadOpts): { socket: Socket; fd: number } {
  const [fd, other] = libc.socketPair();
  closeSync(other);
  const socket = new Socket({ fd, readable: true, writable: true, onread });
  try {
    libc.replace(masterFd, fd);
  } catch (e) {
    socket.destroy();
    throw e;
  }
  return { socket, fd };
}

/** Larger than what a terminal gives at once: 4 KiB. Source: drivers/tty/n_tty.c of Linux. */
const READ_BYTES = 8 * 1024;

/**
 * Hides what a socket over a terminal does differently: no half-close, and EIO is the end. It reads past the
 * socket's own buffer: an error throws away what is in there, and a terminal always ends by one.
 */
class MasterStream extends Duplex {
  readonly socket: Socket;
  readonly fd: number;
  #ended = false;

  constructor(open: (onread: OnReadOpts) => { socket: Socket; fd: number }) {
    super({ allowHalfOpen: true, autoDestroy: false });
    const { socket, fd } = open({
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (bytes, buffer) => this.push(Buffer.from(buffer.subarray(0, bytes))),
    });
    this.socket = socket;
    this.fd = fd;
    const end = (): void => {
      if (this.#ended) return;
      this.#ended = true;
      this.push(null);
    };
    // EIO: nobody has the slave open any more. Anything else ends it as well: there is no other side to
    // notify.
    socket.on('end', end).on('error', end).on('close', end);
  }

  override _read(): void {
    if (!this.#ended) this.socket.resume();
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#ended || this.socket.destroyed) done();
    else
      this.socket.write(chunk, () => {
        done(); // a program that is gone does not read: no failure of ours
      });
  }
  /** The end of the person's input means nothing to a terminal: programs there read until they get ^D. */
  override _final(done: (error?: Error | null) => void): void {
    done();
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    this.#ended = true;
    done(error);
  }
}
