import type { Reader } from '../pki/wire.ts';
import { type Head, openFlag, PacketCutter, parseBody, reply, request, status } from './sftp-wire.ts';

/** One file that was moved, or that could not be. */
export interface FileTransfer {
  /** As the client named it. */
  readonly path: string;
  readonly direction: 'upload' | 'download';
  readonly bytes: number;
  readonly result: { readonly status: 'done' } | { readonly status: 'failed'; readonly reason: string };
}

type Pending =
  | { readonly kind: 'open'; readonly path: string; readonly writes: boolean }
  | { readonly kind: 'read'; readonly handle: string }
  | { readonly kind: 'write'; readonly handle: string; readonly bytes: number }
  | { readonly kind: 'close'; readonly handle: string };

interface OpenFile {
  readonly path: string;
  readonly writes: boolean;
  bytes: number;
  failure: string | undefined;
}

/** Enough for every path and handle; file contents are never kept. */
const HEAD_BYTES = 8 * 1024;
const MAX_PENDING = 16 * 1024;
const MAX_OPEN = 4 * 1024;

/** A handle or path need not be UTF-8. */
const text = (bytes: Buffer): string => bytes.toString('utf8');
const handleOf = (r: Reader): string => r.bytes().toString('latin1');

/**
 * Looks at both directions of an SFTP conversation and tells which files were moved. It only reads: what it is shown is
 * passed on by others. When it loses the thread (not SFTP, or more files open than it keeps count of) it says so once and
 * looks no further.
 */
export class SftpTap {
  readonly #onTransfer: (transfer: FileTransfer) => void;
  readonly #onLost: (reason: string) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #open = new Map<string, OpenFile>();
  readonly #requests = new PacketCutter(HEAD_BYTES, (head) => {
    this.#onRequest(head);
  });
  readonly #replies = new PacketCutter(HEAD_BYTES, (head) => {
    this.#onReply(head);
  });
  #lost = false;

  constructor(onTransfer: (transfer: FileTransfer) => void, onLost: (reason: string) => void) {
    this.#onTransfer = onTransfer;
    this.#onLost = onLost;
  }

  fromClient(chunk: Buffer): void {
    if (!this.#lost && !this.#requests.push(chunk)) this.#lose('the client does not speak SFTP');
  }

  fromServer(chunk: Buffer): void {
    if (!this.#lost && !this.#replies.push(chunk)) this.#lose('the server does not speak SFTP');
  }

  /** The conversation is over: files that were not closed count as broken off. */
  end(): void {
    for (const file of this.#open.values()) this.#report(file, 'broken off');
    this.#open.clear();
    this.#pending.clear();
    this.#lost = true;
  }

  #lose(reason: string): void {
    if (this.#lost) return;
    this.end();
    this.#onLost(reason);
  }

  #report(file: OpenFile, failure: string | undefined): void {
    const reason = file.failure ?? failure;
    this.#onTransfer({
      path: file.path,
      direction: file.writes ? 'upload' : 'download',
      bytes: file.bytes,
      result: reason === undefined ? { status: 'done' } : { status: 'failed', reason },
    });
  }

  #onRequest({ type, body }: Head): void {
    const read = readers[type];
    if (this.#lost || read === undefined) return;
    const asked = parseBody(body, (r) => ({ id: r.u32(), pending: read(r) }));
    if (asked === undefined) this.#lose('a malformed request');
    else if (this.#pending.size >= MAX_PENDING) this.#lose('too many unanswered requests');
    else this.#pending.set(asked.id, asked.pending);
  }

  #onReply({ type, body, length }: Head): void {
    if (this.#lost || type === reply.version) return;
    const id = parseBody(body, (r) => r.u32());
    if (id === undefined) {
      this.#lose('a malformed reply');
      return;
    }
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending === undefined) return;
    const failure = failureOf(type, body);
    switch (pending.kind) {
      case 'open':
        this.#opened(pending, type, body, failure);
        break;
      case 'read':
        // type, id and the length of the data stand before it
        if (type === reply.data) this.#moved(pending.handle, Math.max(0, length - 9));
        else if (failure !== undefined) this.#failed(pending.handle, failure);
        break;
      case 'write':
        if (failure === undefined) this.#moved(pending.handle, pending.bytes);
        else this.#failed(pending.handle, failure);
        break;
      case 'close':
        this.#closed(pending.handle, failure);
        break;
    }
  }

  #opened(
    { path, writes }: { path: string; writes: boolean },
    type: number,
    body: Buffer,
    failure: string | undefined,
  ): void {
    const file = { path, writes, bytes: 0, failure: undefined };
    if (type !== reply.handle) {
      this.#report(file, failure ?? 'not opened');
      return;
    }
    const handle = parseBody(body, (r) => {
      r.u32();
      return handleOf(r);
    });
    if (handle === undefined) this.#lose('a malformed reply');
    else if (this.#open.size >= MAX_OPEN) this.#lose('too many open files');
    else this.#open.set(handle, file);
  }

  #moved(handle: string, bytes: number): void {
    const file = this.#open.get(handle);
    if (file !== undefined) file.bytes += bytes;
  }

  #failed(handle: string, reason: string): void {
    const file = this.#open.get(handle);
    if (file !== undefined) file.failure ??= reason;
  }

  #closed(handle: string, failure: string | undefined): void {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file !== undefined) this.#report(file, failure);
  }
}

/** Only of these it is remembered that they were asked. Directories have handles too, but no `open`. */
const readers: Readonly<Record<number, (r: Reader) => Pending>> = {
  [request.open]: (r) => ({
    kind: 'open',
    path: text(r.bytes()),
    writes: (r.u32() & (openFlag.write | openFlag.append)) !== 0,
  }),
  [request.read]: (r) => ({ kind: 'read', handle: handleOf(r) }),
  [request.write]: (r) => {
    const handle = handleOf(r);
    r.u64();
    return { kind: 'write', handle, bytes: r.u32() };
  },
  [request.close]: (r) => ({ kind: 'close', handle: handleOf(r) }),
};

/** What a status reply says when it is no success; the end of a file is one. */
function failureOf(type: number, body: Buffer): string | undefined {
  if (type !== reply.status) return undefined;
  const said = parseBody(body, (r) => {
    r.u32();
    const code = r.u32();
    return { code, message: r.atEnd ? '' : text(r.bytes()) };
  });
  if (said === undefined) return 'a malformed reply';
  if (said.code === status.ok || said.code === status.eof) return undefined;
  return said.message === '' ? `status ${said.code}` : said.message;
}
