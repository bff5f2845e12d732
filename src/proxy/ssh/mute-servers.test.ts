import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { MuteServers } from './mute-servers.ts';

const [a, b] = [
  { host: '10.0.0.1', port: 3025 },
  { host: '10.0.0.2', port: 3025 },
];
const streamWith = (bytes: { read: number; written: number }): Socket =>
  Object.defineProperties(new Socket(), {
    bytesRead: { get: () => bytes.read },
    bytesWritten: { get: () => bytes.written },
  });

describe('servers that take connections and say nothing', () => {
  it('come last while somebody waits there in vain', () => {
    let now = 0;
    const servers = new MuteServers(() => now);
    const bytes = { read: 0, written: 300 };
    const stream = servers.watch(a, streamWith(bytes));
    now = 400;
    expect(servers.last([a, b])).toEqual([a, b]);
    now = 401;
    expect(servers.last([a, b])).toEqual([b, a]);
    expect(servers.last([a])).toEqual([a]);
    stream.destroy();
    return new Promise<void>((closed) =>
      stream.once('close', () => {
        expect(servers.last([a, b])).toEqual([a, b]);
        closed();
      }),
    );
  });

  it('are none that have spoken, or that nobody has asked for anything', () => {
    let now = 0;
    const servers = new MuteServers(() => now);
    const [spoken, unasked] = [
      { read: 0, written: 300 },
      { read: 0, written: 0 },
    ];
    const open = [servers.watch(a, streamWith(spoken)), servers.watch(b, streamWith(unasked))];
    now = 10_000;
    spoken.read = 1;
    expect(servers.last([a, b])).toEqual([a, b]);
    for (const one of open) one.destroy();
  });
});
