/**
 * An SFTP server (version 3) for machines without OpenSSH's. Runs as the person, on standard input and
 * output.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import { Reader, str, u32, WireError } from '../pki/wire.ts';
import { attributesOf, type Attributes, longName, readAttributes } from './sftp-attributes.ts';
import {
  type Head,
  MAX_PACKET,
  openFlag,
  packet,
  PacketCutter,
  reply,
  request,
  status,
  statusReply,
} from './sftp-wire.ts';

const MAX_READ = 128 * 1024;
const NAMES_AT_ONCE = 128;
const MAX_HANDLES = 1024;

const codes: Readonly<Record<string, number>> = {
  ENOENT: status.noSuchFile,
  ENOTDIR: status.noSuchFile,
  EBADF: status.failure,
  EACCES: status.permissionDenied,
  EPERM: status.permissionDenied,
  EROFS: status.permissionDenied,
};

/** A refusal with a status of SFTP. */
class SftpFailure extends Error {
  readonly status: number;
  constructor(code: number, message: string) {
    super(message);
    this.status = code;
  }
}

type Handle =
  | { readonly kind: 'file'; readonly file: fs.FileHandle; readonly appends: boolean }
  | { readonly kind: 'directory'; readonly path: string; readonly names: string[] };

export interface SftpStreams {
  readonly input: Readable;
  readonly output: Writable;
  /** The folder of relative names. */
  readonly home: string;
}

/**
 * Serves until the client ends its side. Resolves to the exit status: 0, or 1 when the client broke the
 * protocol.
 */
export async function serveSftp({ input, output, home }: SftpStreams): Promise<number> {
  const server = new Conversation(home);
  const waiting: Head[] = [];
  const cutter = new PacketCutter(MAX_PACKET, (head) => waiting.push(head));
  try {
    for await (const chunk of input) {
      const whole = cutter.push(chunk as Buffer);
      for (const head of waiting.splice(0)) {
        const answer = await server.answer(head);
        if (output.destroyed) return 1;
        if (!output.write(answer)) await once(output, 'drain');
      }
      if (!whole) return 1;
    }
    return 0;
  } finally {
    await server.close();
  }
}

class Conversation {
  readonly #home: string;
  readonly #handles = new Map<string, Handle>();
  #next = 0;

  constructor(home: string) {
    this.#home = home;
  }

  async answer({ type, body }: Head): Promise<Buffer> {
    const r = new Reader(body);
    if (type === request.init)
      return packet(
        reply.version,
        u32(3),
        ...['posix-rename@openssh.com', 'fsync@openssh.com', 'hardlink@openssh.com'].flatMap((name) => [
          str(name),
          str('1'),
        ]),
      );
    let id = 0;
    try {
      id = r.u32();
      const act = this.#acts[type];
      if (act === undefined) throw new SftpFailure(status.unsupported, 'not supported');
      return (await act(r, id)) ?? statusReply(id, status.ok, 'Success');
    } catch (e) {
      return failureReply(id, e);
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) if (handle.kind === 'file') await handle.file.close();
    this.#handles.clear();
  }

  readonly #acts: Readonly<Record<number, (r: Reader, id: number) => Promise<Buffer | undefined>>> = {
    [request.open]: async (r, id) => {
      const path = this.#path(r);
      const flags = r.u32();
      const { permissions } = readAttributes(r);
      this.#checkRoom();
      const file = await fs.open(path, openFlags(flags), permissions ?? 0o666);
      return this.#opened(id, { kind: 'file', file, appends: (flags & openFlag.append) !== 0 });
    },
    [request.opendir]: async (r, id) => {
      const path = this.#path(r);
      this.#checkRoom();
      const names = ['.', '..', ...(await fs.readdir(path))];
      return this.#opened(id, { kind: 'directory', path, names });
    },
    [request.close]: async (r) => {
      const [key, handle] = this.#handle(r);
      this.#handles.delete(key);
      if (handle.kind === 'file') await handle.file.close();
      return undefined;
    },
    [request.read]: async (r, id) => {
      const { file } = this.#file(r);
      const position = r.u64();
      const data = Buffer.allocUnsafe(Math.min(r.u32(), MAX_READ));
      const { bytesRead } = await file.read(data, 0, data.length, position);
      if (bytesRead === 0) throw new SftpFailure(status.eof, 'End of file');
      return packet(reply.data, u32(id), str(data.subarray(0, bytesRead)));
    },
    [request.write]: async (r) => {
      const { file, appends } = this.#file(r);
      const position = Number(r.u64());
      const data = r.bytes();
      for (let at = 0; at < data.length;) {
        const where = appends ? null : position + at;
        at += (await file.write(data, at, data.length - at, where)).bytesWritten;
      }
      return undefined;
    },
    [request.stat]: async (r, id) => attrs(id, await fs.stat(this.#path(r), { bigint: true })),
    [request.lstat]: async (r, id) => attrs(id, await fs.lstat(this.#path(r), { bigint: true })),
    [request.fstat]: async (r, id) => attrs(id, await this.#file(r).file.stat({ bigint: true })),
    [request.setstat]: async (r) => {
      const path = this.#path(r);
      const wanted = readAttributes(r);
      if (wanted.size !== undefined) await fs.truncate(path, Number(wanted.size));
      await setAttributes(wanted, {
        chmod: (mode) => fs.chmod(path, mode),
        chown: (uid, gid) => fs.chown(path, uid, gid),
        utimes: (accessed, modified) => fs.utimes(path, accessed, modified),
      });
      return undefined;
    },
    [request.fsetstat]: async (r) => {
      const { file } = this.#file(r);
      const wanted = readAttributes(r);
      if (wanted.size !== undefined) await file.truncate(Number(wanted.size));
      await setAttributes(wanted, {
        chmod: (mode) => file.chmod(mode),
        chown: (uid, gid) => file.chown(uid, gid),
        utimes: (accessed, modified) => file.utimes(accessed, modified),
      });
      return undefined;
    },
    [request.readdir]: async (r, id) => {
      const [, handle] = this.#handle(r);
      if (handle.kind !== 'directory') throw new SftpFailure(status.failure, 'not a directory');
      const names = handle.names.splice(0, NAMES_AT_ONCE);
      if (names.length === 0) throw new SftpFailure(status.eof, 'End of directory');
      const entries: Buffer[] = [];
      let count = 0;
      for (const name of names) {
        const info = await statOrGone(resolve(handle.path, name));
        if (info === undefined) continue;
        entries.push(str(name), str(longName(name, info)), attributesOf(info));
        count++;
      }
      return packet(reply.name, u32(id), u32(count), ...entries);
    },
    [request.remove]: async (r) => {
      await fs.unlink(this.#path(r));
      return undefined;
    },
    [request.mkdir]: async (r) => {
      const path = this.#path(r);
      await fs.mkdir(path, (readAttributes(r).permissions ?? 0o777) & 0o7777);
      return undefined;
    },
    [request.rmdir]: async (r) => {
      await fs.rmdir(this.#path(r));
      return undefined;
    },
    [request.realpath]: async (r, id) => names(id, await this.#real(this.#path(r))),
    [request.readlink]: async (r, id) => names(id, await fs.readlink(this.#path(r))),
    [request.rename]: async (r) => {
      const from = this.#path(r);
      const to = this.#path(r);
      await rename(from, to);
      return undefined;
    },
    // The draft puts the link first, OpenSSH and all that follow it the target.
    [request.symlink]: async (r) => {
      const target = textOf(r);
      await fs.symlink(target, this.#path(r));
      return undefined;
    },
    [request.extended]: async (r) => {
      const name = textOf(r);
      if (name === 'posix-rename@openssh.com') await fs.rename(this.#path(r), this.#path(r));
      else if (name === 'hardlink@openssh.com') await fs.link(this.#path(r), this.#path(r));
      else if (name === 'fsync@openssh.com') await this.#file(r).file.sync();
      else throw new SftpFailure(status.unsupported, 'not supported');
      return undefined;
    },
  };

  #path(r: Reader): string {
    return resolve(this.#home, textOf(r));
  }

  /** As realpath(3), but the last part need not exist. */
  async #real(path: string): Promise<string> {
    try {
      return await fs.realpath(path);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
      return path;
    }
  }

  #handle(r: Reader): [string, Handle] {
    const key = r.bytes().toString('latin1');
    const handle = this.#handles.get(key);
    if (handle === undefined) throw new SftpFailure(status.failure, 'no such handle');
    return [key, handle];
  }

  #file(r: Reader): Extract<Handle, { kind: 'file' }> {
    const [, handle] = this.#handle(r);
    if (handle.kind !== 'file') throw new SftpFailure(status.failure, 'not a file');
    return handle;
  }

  #checkRoom(): void {
    if (this.#handles.size >= MAX_HANDLES) throw new SftpFailure(status.failure, 'too many open files');
  }

  #opened(id: number, handle: Handle): Buffer {
    const key = String(this.#next++);
    this.#handles.set(key, handle);
    return packet(reply.handle, u32(id), str(key));
  }
}

const textOf = (r: Reader): string => r.text();
const attrs = (id: number, s: Parameters<typeof attributesOf>[0]): Buffer =>
  packet(reply.attrs, u32(id), attributesOf(s));
const names = (id: number, path: string): Buffer =>
  packet(reply.name, u32(id), u32(1), str(path), str(path), u32(0));

function openFlags(flags: number): number {
  const on = (bit: number): boolean => (flags & bit) !== 0;
  const writes = on(openFlag.write) || on(openFlag.append);
  const direction = writes ? (on(openFlag.read) ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  return (
    direction |
    (on(openFlag.append) ? constants.O_APPEND : 0) |
    (on(openFlag.create) ? constants.O_CREAT : 0) |
    (on(openFlag.truncate) ? constants.O_TRUNC : 0) |
    (on(openFlag.exclusive) ? constants.O_EXCL : 0)
  );
}

/** Version 3 does not replace existing files; clients that need that use posix-rename. */
async function rename(from: string, to: string): Promise<void> {
  try {
    await fs.link(from, to);
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new SftpFailure(status.failure, 'the new name exists');
    // Folders and some file systems have no hard links.
    if ((await statOrGone(to)) !== undefined) throw new SftpFailure(status.failure, 'the new name exists');
    await fs.rename(from, to);
    return;
  }
  await fs.unlink(from);
}

async function statOrGone(path: string): Promise<Parameters<typeof attributesOf>[0] | undefined> {
  try {
    return await fs.lstat(path, { bigint: true });
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
}

async function setAttributes(
  { owner, permissions, times }: Attributes,
  target: {
    chmod: (mode: number) => Promise<void>;
    chown: (uid: number, gid: number) => Promise<void>;
    utimes: (accessed: number, modified: number) => Promise<void>;
  },
): Promise<void> {
  if (permissions !== undefined) await target.chmod(permissions & 0o7777);
  if (times !== undefined) await target.utimes(times.accessed, times.modified);
  if (owner !== undefined) await target.chown(owner.uid, owner.gid);
}

function failureReply(id: number, e: unknown): Buffer {
  if (e instanceof SftpFailure) return statusReply(id, e.status, e.message);
  if (e instanceof WireError) return statusReply(id, status.badMessage, 'malformed request');
  const { code, message } = e as NodeJS.ErrnoException;
  // The person is told of a bug in this program too, as there is no log.
  return statusReply(id, codes[code ?? ''] ?? status.failure, code ?? message);
}
