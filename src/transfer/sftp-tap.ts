import type { Reader } from '../pki/wire.ts';
import { type Head, openFlag, PacketCutter, parseBody, reply, request, status } from './sftp-wire.ts';

/** One file transfer, successful or not. */
export interface FileTransfer {
  /** As the client named it. */
  readonly path: string;
  readonly direction: 'upload' | 'download';
  readonly bytes: number;
  readonly result: { readonly status: 'done' } | { readonly status: 'failed'; readonly reason: string };
}

type Pending =
  | { readonly kind: 'open'; readonly path: string; readonly writes: boolean }
  | { readonly kind: 'opendir' }
  | { readonly kind: 'other' }
  | { readonly kind: 'read'; readonly handle: string }
  | { readonly kind: 'write'; readonly handle: string; readonly bytes: number }
  | { readonly kind: 'close'; readonly handle: string };

interface OpenFile {
  readonly kind: 'file';
  readonly path: string;
  readonly writes: boolean;
  bytes: number;
  failure: string | undefined;
}

/** Folders have handles too, and a handle can only mean one thing at a time. */
type Open = OpenFile | { readonly kind: 'folder' };

/** Enough for every path and handle; file contents are never kept. */
const HEAD_BYTES = 8 * 1024;
/**
 * A client that requests a whole file at once, part by part, waits from here on: OpenSSH's server would read
 * all its requests.
 */
const FULL_PENDING = 32 * 1024;
/** More than one chunk can bring beyond that. */
const MAX_PENDING = 64 * 1024;
const MAX_OPEN = 4 * 1024;

/** A handle or path need not be UTF-8. */
const text = (bytes: Buffer): string => bytes.toString('utf8');
const handleOf = (r: Reader): string => r.bytes().toString('latin1');

/**
 * Watches both directions of an SFTP conversation and reports which files were moved. It works for every
 * client, and for a server that replies to each request once, to those of one id in order (OpenSSH's and ours
 * reply to all in order): of such a server it keeps exactly the state. Something that it cannot follow (an
 * unknown kind of request, a reply without a request, two files with one handle) is reported once; from then
 * on nothing may be passed on, or it would be missed.
 */
export class SftpTap {
  readonly #onTransfer: (transfer: FileTransfer) => void;
  readonly #onLost: (reason: string) => void;
  /** By id. A client may use one twice at once: servers reply to requests of one id in order. */
  readonly #pending = new Map<number, Pending[]>();
  #unanswered = 0;
  #room: PromiseWithResolvers<void> | undefined;
  readonly #open = new Map<string, Open>();
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

  /** Undefined, or what to wait for before the next chunk of the client is read: the server is far behind. */
  room(): Promise<void> | undefined {
    if (this.#lost || this.#unanswered < FULL_PENDING) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  #tellRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** To be called before the server sees the chunk. False: it must not see it. */
  fromClient(chunk: Buffer): boolean {
    if (!this.#lost && !this.#requests.push(chunk)) this.#lose('the client does not speak SFTP');
    return !this.#lost;
  }

  /** False: the conversation must end. */
  fromServer(chunk: Buffer): boolean {
    if (!this.#lost && !this.#replies.push(chunk)) this.#lose('the server does not speak SFTP');
    return !this.#lost;
  }

  /**
   * The conversation is over: files that were not closed, or whose opening got no reply, count as
   * interrupted.
   */
  end(): void {
    for (const file of this.#open.values()) if (file.kind === 'file') this.#report(file, 'broken off');
    for (const asked of [...this.#pending.values()].flat())
      if (asked.kind === 'open') this.#report(fileOf(asked), 'broken off');
    this.#open.clear();
    this.#pending.clear();
    this.#lost = true;
    this.#tellRoom();
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
    if (this.#lost || type === request.init) return;
    const read = readers[type] ?? (known.has(type) ? readOther : undefined);
    if (read === undefined) {
      this.#lose(`a request of unknown kind ${type}`);
      return;
    }
    const asked = parseBody(body, (r) => ({ id: r.u32(), pending: read(r) }));
    if (asked === undefined) this.#lose('a malformed request');
    else if (this.#unanswered >= MAX_PENDING) this.#lose('too many unanswered requests');
    else {
      this.#unanswered += costOf(asked.pending);
      const before = this.#pending.get(asked.id);
      if (before === undefined) this.#pending.set(asked.id, [asked.pending]);
      else before.push(asked.pending);
    }
  }

  #onReply(head: Head): void {
    if (this.#lost || head.type === reply.version) return;
    const pending = this.#answered(head);
    if (pending === undefined) return;
    const failure = failureOf(head.type, head.body);
    if (pending.kind === 'open' || pending.kind === 'opendir') this.#openAnswered(pending, head, failure);
    else this.#useAnswered(pending, head, failure);
  }

  /**
   * The request that a reply belongs to, which is then done; undefined when it cannot be followed any more.
   */
  #answered({ type, body }: Head): Pending | undefined {
    const id = parseBody(body, (r) => r.u32());
    const queue = id === undefined ? undefined : this.#pending.get(id);
    const pending = queue?.[0];
    if (id === undefined) this.#lose('a malformed reply');
    else if (pending === undefined) this.#lose(`a reply to no request, with the id ${id}`);
    else if (type === reply.handle && pending.kind !== 'open' && pending.kind !== 'opendir')
      this.#lose('a handle for a request that opens nothing');
    else {
      this.#unanswered -= costOf(pending);
      if (this.#unanswered < FULL_PENDING) this.#tellRoom();
      queue?.shift();
      if (queue?.length === 0) this.#pending.delete(id);
      return pending;
    }
    return undefined;
  }

  #openAnswered(
    pending: Extract<Pending, { kind: 'open' | 'opendir' }>,
    { type, body }: Head,
    failure: string | undefined,
  ): void {
    const what: Open = pending.kind === 'open' ? fileOf(pending) : { kind: 'folder' };
    if (type === reply.handle) this.#opened(what, body);
    else if (what.kind === 'file') this.#report(what, failure ?? 'not opened');
  }

  #useAnswered(
    pending: Exclude<Pending, { kind: 'open' | 'opendir' }>,
    { type, length }: Head,
    failure: string | undefined,
  ): void {
    switch (pending.kind) {
      case 'read':
        // type, id and the length of the data come before it
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
      case 'other':
    }
  }

  #opened(what: Open, body: Buffer): void {
    const handle = parseBody(body, (r) => {
      r.u32();
      return handleOf(r);
    });
    const fault =
      handle === undefined
        ? 'a malformed reply'
        : this.#open.has(handle)
          ? 'two open files with one handle'
          : this.#open.size >= MAX_OPEN
            ? 'too many open files'
            : undefined;
    if (handle !== undefined && fault === undefined) {
      this.#open.set(handle, what);
      return;
    }
    if (what.kind === 'file') this.#report(what, 'broken off');
    this.#lose(fault ?? 'a malformed reply');
  }

  #moved(handle: string, bytes: number): void {
    const file = this.#open.get(handle);
    if (file?.kind === 'file') file.bytes += bytes;
    else this.#lose('data of a file that was not opened');
  }

  /** A request with an invalid handle fails as well, and is not about a file. */
  #failed(handle: string, reason: string): void {
    const file = this.#open.get(handle);
    if (file?.kind === 'file') file.failure ??= reason;
  }

  /** A handle that failed to close is gone nevertheless, as with close(2); an invalid one stays invalid. */
  #closed(handle: string, failure: string | undefined): void {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file?.kind === 'file') this.#report(file, failure);
    else if (file === undefined && failure === undefined) this.#lose('the end of a file that was not opened');
  }
}

const fileOf = ({ path, writes }: { path: string; writes: boolean }): OpenFile => ({
  kind: 'file',
  path,
  writes,
  bytes: 0,
  failure: undefined,
});

/** The cost of keeping a request, so that long names do not fill the memory. */
const costOf = (asked: Pending): number => {
  const kept = 'path' in asked ? asked.path : 'handle' in asked ? asked.handle : '';
  return 1 + Math.floor(kept.length / 128);
};

const known = new Set<number>(Object.values(request));
const readOther = (): Pending => ({ kind: 'other' });

/** Requests whose content matters. */
const readers: Readonly<Record<number, (r: Reader) => Pending>> = {
  [request.open]: (r) => ({
    kind: 'open',
    path: text(r.bytes()),
    writes: (r.u32() & (openFlag.write | openFlag.append)) !== 0,
  }),
  [request.opendir]: () => ({ kind: 'opendir' }),
  [request.read]: (r) => ({ kind: 'read', handle: handleOf(r) }),
  [request.write]: (r) => {
    const handle = handleOf(r);
    r.u64();
    return { kind: 'write', handle, bytes: r.u32() };
  },
  [request.close]: (r) => ({ kind: 'close', handle: handleOf(r) }),
};

/** The error in a status reply; none for success and the end of a file. */
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
