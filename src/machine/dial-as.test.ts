import * as net from 'node:net';
import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dialAs } from './dial-as.ts';
import type { OsUser } from './passwd.ts';

let socket: net.Socket;
vi.mock(import('node:net'), async (original) => ({
  ...(await original()),
  connect: () => socket,
}));
beforeEach(() => {
  socket = new net.Socket();
});
afterEach(() => {
  vi.useRealTimers();
});

const target = { host: '192.0.2.1', port: 22 };
const own = { name: 'me', uid: userInfo().uid } as OsUser;
const libc = { status: 'unavailable', reason: 'a test' } as const;
const dial = (signal = new AbortController().signal, user = own): Promise<net.Socket> =>
  dialAs(target, { user, libc, signal });

describe('dialling as a person', () => {
  it('gives a socket that may break before anybody carries it, and is then seen to be destroyed', async () => {
    const dialled = dial();
    socket.emit('connect');
    expect(await dialled).toBe(socket);
    // Without a listener it would end the whole node.
    expect(() => socket.emit('error', new Error('ECONNRESET'))).not.toThrow();
    expect(socket.destroyed).toBe(true);
  });
  it('fails as the system does, and leaves no socket', async () => {
    const dialled = dial();
    socket.emit('error', new Error('ECONNREFUSED'));
    await expect(dialled).rejects.toThrow('ECONNREFUSED');
    expect(socket.destroyed).toBe(true);
    expect(() => socket.emit('error', new Error('late'))).not.toThrow();
  });
  it('ends when the client leaves, before and while it dials, and not after', async () => {
    await expect(dial(AbortSignal.abort())).rejects.toThrow('the client has left');
    const gone = new AbortController();
    const dialled = dial(gone.signal);
    gone.abort();
    await expect(dialled).rejects.toThrow('the client has left');
    socket = new net.Socket();
    const later = new AbortController();
    const connected = dial(later.signal);
    socket.emit('connect');
    await connected;
    later.abort();
    expect(socket.destroyed).toBe(false);
  });
  it('ends after 30 s without an answer, and an answer has no limit', async () => {
    vi.useFakeTimers();
    const dialled = expect(dial()).rejects.toThrow('no answer in 30 s');
    await vi.advanceTimersByTimeAsync(29_900);
    expect(socket.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    await dialled;
    socket = new net.Socket();
    const connected = dial();
    socket.emit('connect');
    await connected;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.destroyed).toBe(false);
  });
  it('is not done for another account where the C library cannot be called', async () => {
    await expect(dial(undefined, { ...own, uid: own.uid + 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
