import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { str, u32, u64 } from '../pki/wire.ts';
import { type FileTransfer, SftpTap } from './sftp-tap.ts';
import { openFlag, packet, reply, request, status, statusReply } from './sftp-wire.ts';

const attributes = u32(0);
const open = (id: number, path: string, flags: number): Buffer =>
  packet(request.open, u32(id), str(path), u32(flags), attributes);
const handle = (id: number, name: string): Buffer => packet(reply.handle, u32(id), str(name));
const write = (id: number, name: string, bytes: number): Buffer =>
  packet(request.write, u32(id), str(name), u64(0n), str(Buffer.alloc(bytes)));
const read = (id: number, name: string): Buffer =>
  packet(request.read, u32(id), str(name), u64(0n), u32(9999));
const data = (id: number, bytes: number): Buffer => packet(reply.data, u32(id), str(Buffer.alloc(bytes)));
const close = (id: number, name: string): Buffer => packet(request.close, u32(id), str(name));
const ok = (id: number): Buffer => statusReply(id, status.ok, 'Success');

type Step = readonly ['c' | 's', Buffer];
/** Shows the conversation to a tap, cut into pieces of `size` bytes. */
function watch(
  steps: readonly Step[],
  size = 7,
): { transfers: FileTransfer[]; lost: string[]; passed: boolean[] } {
  const transfers: FileTransfer[] = [];
  const lost: string[] = [];
  const tap = new SftpTap(
    (transfer) => transfers.push(transfer),
    (reason) => lost.push(reason),
  );
  const passed: boolean[] = [];
  for (const [from, bytes] of steps)
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size);
      passed.push(from === 'c' ? tap.fromClient(piece) : tap.fromServer(piece));
    }
  tap.end();
  return { transfers, lost, passed };
}
const begin: Step[] = [
  ['c', packet(request.init, u32(3))],
  ['s', packet(reply.version, u32(3), str('x'), str('1'))],
];
const done = { status: 'done' } as const;

describe('watching sftp', () => {
  it('tells an upload, with the bytes that the server took', () => {
    const steps: Step[] = [
      ...begin,
      ['c', open(1, '/a', openFlag.write | openFlag.create)],
      ['s', handle(1, 'h')],
      ['c', Buffer.concat([write(2, 'h', 40_000), write(3, 'h', 5)])],
      ['s', Buffer.concat([ok(3), ok(2)])],
      ['c', close(4, 'h')],
      ['s', ok(4)],
    ];
    for (const size of [1, 7, 100_000])
      expect(watch(steps, size)).toMatchObject({
        transfers: [{ path: '/a', direction: 'upload', bytes: 40_005, result: done }],
        lost: [],
      });
  });
  it('tells a download; its end is no failure', () => {
    const { transfers } = watch([
      ...begin,
      ['c', open(1, '/b', openFlag.read)],
      ['s', handle(1, 'h')],
      ['c', Buffer.concat([read(2, 'h'), read(3, 'h')])],
      ['s', Buffer.concat([data(2, 33_000), statusReply(3, status.eof, 'End of file')])],
      ['c', close(4, 'h')],
      ['s', ok(4)],
    ]);
    expect(transfers).toEqual([{ path: '/b', direction: 'download', bytes: 33_000, result: done }]);
  });
  it('tells what could not be opened, what failed and what was broken off', () => {
    const failed = (reason: string) => ({ status: 'failed', reason });
    const { transfers } = watch([
      ...begin,
      ['c', open(1, '/no', openFlag.read)],
      ['s', statusReply(1, status.permissionDenied, 'Permission denied')],
      ['c', open(2, '/full', openFlag.write)],
      ['s', handle(2, 'f')],
      ['c', write(3, 'f', 10)],
      ['s', statusReply(3, status.failure, 'No space')],
      ['c', close(4, 'f')],
      ['s', ok(4)],
      ['c', open(5, '/cut', openFlag.write)],
      ['s', handle(5, 'g')],
    ]);
    expect(transfers).toEqual([
      { path: '/no', direction: 'download', bytes: 0, result: failed('Permission denied') },
      { path: '/full', direction: 'upload', bytes: 0, result: failed('No space') },
      { path: '/cut', direction: 'upload', bytes: 0, result: failed('broken off') },
    ]);
  });
  it.each<[string, string, readonly Step[]]>([
    [
      'a kind of request that nobody knows',
      'a request of unknown kind 21',
      [
        ['c', open(7, '/a', openFlag.read)],
        ['c', packet(21, u32(8))],
      ],
    ],
    ['an answer to nothing', 'a reply to no request, with the id 9', [['s', handle(9, 'h')]]],
    [
      'a handle for what opens nothing',
      'a handle for a request that opens nothing',
      [
        ['c', packet(request.stat, u32(1), str('/a'))],
        ['s', handle(1, 'h')],
      ],
    ],
    [
      'two files of one handle',
      'two open files with one handle',
      [
        ['c', Buffer.concat([open(1, '/a', openFlag.read), packet(request.opendir, u32(2), str('/'))])],
        ['s', Buffer.concat([handle(2, 'h'), handle(1, 'h')])],
      ],
    ],
    [
      'data of no file',
      'data of a file that was not opened',
      [
        ['c', read(1, 'h')],
        ['s', data(1, 10)],
      ],
    ],
    ['a request that is cut short', 'a malformed request', [['c', packet(request.open, u32(1), u32(99))]]],
  ])('cannot follow %s, says so, and lets nothing more through', (_what, reason, steps) => {
    const { lost, passed, transfers } = watch([...begin, ...steps, ['c', open(99, '/later', 1)]]);
    expect(lost).toEqual([reason]);
    expect(passed.at(-1)).toBe(false);
    // What was asked for by then is told.
    const asked = steps.some(
      ([from, bytes]) => from === 'c' && bytes.includes('/a') && bytes[4] === request.open,
    );
    expect(transfers.filter(({ path }) => path === '/a')).toHaveLength(asked ? 1 : 0);
  });
  it('takes the answers to requests of one id in their order', () => {
    const { transfers, lost } = watch([
      ...begin,
      [
        'c',
        Buffer.concat([
          packet(request.stat, u32(7), str('/')),
          open(7, '/a', openFlag.read),
          close(7, 'zzzz'),
        ]),
      ],
      [
        's',
        Buffer.concat([
          packet(reply.attrs, u32(7), u32(0)),
          handle(7, 'h'),
          statusReply(7, status.failure, 'no'),
        ]),
      ],
      ['c', Buffer.concat([read(7, 'h'), close(7, 'h')])],
      ['s', Buffer.concat([data(7, 100), ok(7)])],
    ]);
    expect(lost).toEqual([]);
    expect(transfers).toEqual([{ path: '/a', direction: 'download', bytes: 100, result: done }]);
  });
  it('tells a file whose opening was not answered when all ended', () => {
    expect(watch([...begin, ['c', open(1, '/a', openFlag.write | openFlag.truncate)]]).transfers).toEqual([
      { path: '/a', direction: 'upload', bytes: 0, result: { status: 'failed', reason: 'broken off' } },
    ]);
  });
  it('says once when it has lost the thread', () => {
    const { lost } = watch([
      ['s', Buffer.from('Welcome to this machine!\n')],
      ['c', open(1, '/a', 1)],
      ['s', Buffer.from('more')],
    ]);
    expect(lost).toEqual(['the server does not speak SFTP']);
  });
  it('makes a client wait that asks for a large file all at once, and loses nothing of it', async () => {
    const transfers: FileTransfer[] = [];
    const lost: string[] = [];
    const tap = new SftpTap(
      (transfer) => transfers.push(transfer),
      (reason) => lost.push(reason),
    );
    expect(tap.fromClient(open(0, '/big', openFlag.read))).toBe(true);
    expect(tap.fromServer(handle(0, 'h'))).toBe(true);
    const parts = 200_000;
    let [asked, answered, held] = [1, 1, 0];
    while (answered <= parts) {
      const room = tap.room();
      if (room === undefined && asked <= parts) expect(tap.fromClient(read(asked++, 'h'))).toBe(true);
      else {
        held++;
        // The server goes on, and so may the client by and by.
        for (let i = 0; i < 20_000 && answered < asked; i++) tap.fromServer(data(answered++, 1));
        await room;
      }
    }
    expect(held).toBeGreaterThan(4);
    tap.fromClient(close(0, 'h'));
    tap.fromServer(ok(0));
    expect(lost).toEqual([]);
    expect(transfers).toEqual([{ path: '/big', direction: 'download', bytes: parts, result: done }]);
  });
  it.each([
    ['paths', (id: number) => open(id, 'p'.repeat(8000), openFlag.read)],
    ['handles', (id: number) => read(id, 'h'.repeat(8000))],
  ])('keeps no more of long %s than some megabytes', (_what, ask) => {
    const tap = new SftpTap(
      () => undefined,
      () => undefined,
    );
    let kept = 0;
    for (; tap.room() === undefined; kept += 8000) expect(tap.fromClient(ask(kept))).toBe(true);
    expect(kept).toBeLessThan(5e6);
  });
  it('holds nobody who waits when all has ended', async () => {
    const tap = new SftpTap(
      () => undefined,
      () => undefined,
    );
    for (let id = 0; tap.room() === undefined; id++) tap.fromClient(read(id, 'h'));
    const room = tap.room();
    expect(room).toBeDefined();
    tap.end();
    await room;
    expect(tap.room()).toBeUndefined();
  });
  it('survives any bytes from either side', () => {
    const noise = fc.tuple(fc.constantFrom('c' as const, 's' as const), fc.uint8Array({ maxLength: 300 }));
    const real = fc.constantFrom<Step>(
      ['c', open(1, '/a', 2)],
      ['s', handle(1, 'h')],
      ['c', write(1, 'h', 10)],
      ['s', ok(1)],
      ['s', packet(reply.handle, u32(1))],
      ['c', packet(request.open, u32(1))],
      ['c', close(1, 'h')],
    );
    const step = fc.oneof(
      noise.map(([from, bytes]): Step => [from, Buffer.from(bytes)]),
      real,
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }), (steps, size) => {
        const { transfers, lost } = watch(steps, size);
        expect(lost.length).toBeLessThanOrEqual(1);
        for (const { bytes } of transfers) expect(bytes).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
