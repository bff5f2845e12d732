import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, str, u32, u64 } from '../pki/wire.ts';
import { type FileTransfer, SftpTap } from './sftp-tap.ts';
import { openFlag, packet, PacketCutter, reply, request, status, statusReply } from './sftp-wire.ts';

/** What a server did with one file. */
interface Served {
  readonly path: string;
  readonly writes: boolean;
  bytes: number;
}

/**
 * Does what OpenSSH's sftp-server does: one request after the other, one answer each (none to a kind it does
 * not know), the lowest free number for a handle.
 */
class ModelServer {
  readonly served: Served[] = [];
  readonly refused: string[] = [];
  readonly #slots: (Served | 'folder' | undefined)[] = [];
  readonly #cutter: PacketCutter;

  constructor(answer: (reply: Buffer) => void) {
    this.#cutter = new PacketCutter(256 * 1024, ({ type, body }) => {
      const said = this.#serve(type, new Reader(body));
      if (said !== undefined) answer(said);
    });
  }

  take(chunk: Buffer): void {
    this.#cutter.push(chunk);
  }

  #serve(type: number, r: Reader): Buffer | undefined {
    if (type === request.init) return packet(reply.version, u32(3));
    if (!new Set<number>(Object.values(request)).has(type)) return undefined;
    const id = r.u32();
    const ok = statusReply(id, status.ok, '');
    const no = statusReply(id, status.failure, 'Failure');
    switch (type) {
      case request.open: {
        const path = r.text();
        const writes = (r.u32() & openFlag.write) !== 0;
        if (path.startsWith('/no')) {
          this.refused.push(path);
          return no;
        }
        const file = { path, writes, bytes: 0 };
        this.served.push(file);
        return this.#put(id, file);
      }
      case request.opendir:
        return this.#put(id, 'folder');
      case request.close: {
        const at = slotOf(r.bytes());
        if (this.#slots[at] === undefined) return no;
        this.#slots[at] = undefined;
        return ok;
      }
      case request.read: {
        const file = this.#file(r);
        if (file === undefined) return no;
        file.bytes += 100;
        return packet(reply.data, u32(id), str(Buffer.alloc(100)));
      }
      case request.write: {
        const file = this.#file(r);
        r.u64();
        if (file === undefined) return no;
        file.bytes += r.bytes().length;
        return ok;
      }
      default:
        return no;
    }
  }

  #file(r: Reader): Served | undefined {
    const found = this.#slots[slotOf(r.bytes())];
    return found === 'folder' ? undefined : found;
  }

  #put(id: number, what: Served | 'folder'): Buffer {
    const free = this.#slots.indexOf(undefined);
    const at = free < 0 ? this.#slots.length : free;
    this.#slots[at] = what;
    return packet(reply.handle, u32(id), str(u32(at)));
  }
}

const slotOf = (handle: Buffer): number => (handle.length === 4 ? handle.readUInt32BE(0) : -1);

const id = fc.integer({ min: 0, max: 5 });
const handle = fc.oneof(fc.integer({ min: 0, max: 3 }).map(u32), fc.constant(Buffer.from('zzzz')));
const path = fc.constantFrom('/a', '/b', '/c', '/no');
const requests = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(id, path, fc.constantFrom(openFlag.read, openFlag.write))
      .map(([n, name, flags]) => packet(request.open, u32(n), str(name), u32(flags), u32(0))),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(id, handle).map(([n, h]) => packet(request.read, u32(n), str(h), u64(0n), u32(100))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(id, handle, fc.integer({ min: 0, max: 50 }))
      .map(([n, h, size]) => packet(request.write, u32(n), str(h), u64(0n), str(Buffer.alloc(size)))),
  },
  { weight: 3, arbitrary: fc.tuple(id, handle).map(([n, h]) => packet(request.close, u32(n), str(h))) },
  id.map((n) => packet(request.opendir, u32(n), str('/'))),
  id.map((n) => packet(request.stat, u32(n), str('/a'))),
  fc.constant(packet(request.init, u32(3))),
);
/** A request, how its bytes are cut, and how many answers come back before the next one. */
const steps = fc.array(fc.tuple(requests, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 4 })), {
  maxLength: 60,
});

describe('an honest server and a client that hides what it does', () => {
  it('every file that was opened is told, with its bytes, or it is said that they cannot be followed', () => {
    fc.assert(
      fc.property(steps, fc.boolean(), (all, oddKind) => {
        const transfers: FileTransfer[] = [];
        const lost: string[] = [];
        const tap = new SftpTap(
          (transfer) => transfers.push(transfer),
          (reason) => lost.push(reason),
        );
        const answers: Buffer[] = [];
        const server = new ModelServer((answer) => answers.push(answer));
        const say = (bytes: Buffer, size: number): void => {
          for (let at = 0; at < bytes.length; at += size) {
            const piece = bytes.subarray(at, at + size);
            if (tap.fromClient(piece)) server.take(piece);
          }
        };
        for (const [bytes, size, answered] of all) {
          say(bytes, size);
          for (const answer of answers.splice(0, answered)) tap.fromServer(answer);
        }
        if (oddKind) say(packet(21, u32(1)), 3);
        for (const answer of answers.splice(0)) tap.fromServer(answer);
        tap.end();
        const told = (of: (transfer: FileTransfer) => boolean): string[] =>
          transfers
            .filter(of)
            .map(({ path: name, direction }) => `${name} ${direction}`)
            .sort();
        const done = server.served
          .map((file) => `${file.path} ${file.writes ? 'upload' : 'download'}`)
          .sort();
        const opened = told(({ path: name }) => name !== '/no');
        if (oddKind) expect(lost).toHaveLength(1);
        if (lost.length === 0) {
          expect(opened).toEqual(done);
          expect(told(({ path: name }) => name === '/no')).toHaveLength(server.refused.length);
          const sum = (numbers: readonly { bytes: number }[]): number =>
            numbers.reduce((n, one) => n + one.bytes, 0);
          expect(sum(transfers)).toBe(sum(server.served));
        } else {
          // Each that was served is told; one that was asked for last may not have reached the server.
          const rest = [...opened];
          for (const one of done) {
            expect(rest).toContain(one);
            rest.splice(rest.indexOf(one), 1);
          }
          expect(rest.length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
