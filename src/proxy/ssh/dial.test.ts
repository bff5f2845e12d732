import * as net from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LookUpName } from '../../base/name-lookup.ts';
import { dialTcp } from './dial.ts';

let socket: net.Socket;
let wanted: net.TcpNetConnectOpts;
vi.mock(import('node:net'), async (original) => ({
  ...(await original()),
  connect: ((options: net.TcpNetConnectOpts) => {
    wanted = options;
    return socket;
  }) as typeof net.connect,
}));
beforeEach(() => {
  vi.useFakeTimers();
  socket = new net.Socket();
});
afterEach(() => {
  socket.destroy();
  vi.useRealTimers();
});

const address = { host: 'node1', port: 3022 };
const unknown: LookUpName = () => Promise.reject(new Error('nobody asked'));
const dial = (signal = new AbortController().signal, timeoutMs?: number) =>
  dialTcp(unknown, timeoutMs)(address, { by: 'alice', signal });
const refused = (why: string) => ({ code: 'unavailable', message: `cannot connect to node1:3022: ${why}` });

describe('dialling by TCP', () => {
  it('gives a connection of which each direction ends for itself, that is kept alive and waits for no more bytes', async () => {
    const dialled = dial();
    expect(wanted).toMatchObject({ ...address, allowHalfOpen: true, noDelay: true, keepAlive: true });
    socket.emit('connect');
    expect(await dialled).toBe(socket);
  });

  it('leaves a connection that it gave alone, whoever leaves and however late it is', async () => {
    const leaving = new AbortController();
    const dialled = dial(leaving.signal);
    socket.emit('connect');
    await dialled;
    expect(vi.getTimerCount()).toBe(0);
    leaving.abort();
    expect(socket.destroyed).toBe(false);
    // Without a listener it would end the whole proxy.
    socket.emit('error', new Error('it broke'));
    expect(socket.destroyed).toBe(true);
  });

  it.each([
    ['ECONNREFUSED', 'nothing listens there'],
    ['ETIMEDOUT', 'no answer'],
    ['EOTHER', 'the words of the system'],
  ])('tells of %s as "%s", and keeps nothing', async (code, why) => {
    const dialled = expect(dial()).rejects.toMatchObject(refused(why));
    socket.emit('error', Object.assign(new Error('the words of the system'), { code }));
    await dialled;
    expect(socket.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits ten seconds, or as long as it was told, and not for who has left', async () => {
    const usual = expect(dial()).rejects.toMatchObject(refused('no answer in 10 s'));
    await vi.advanceTimersByTimeAsync(9_999);
    expect(socket.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await usual;
    socket = new net.Socket();
    const short = expect(dial(undefined, 2_000)).rejects.toMatchObject(refused('no answer in 2 s'));
    await vi.advanceTimersByTimeAsync(2_000);
    await short;
    socket = new net.Socket();
    const leaving = new AbortController();
    const left = expect(dial(leaving.signal)).rejects.toMatchObject(refused('the client has left'));
    leaving.abort();
    await left;
    expect(socket.destroyed).toBe(true);
    socket = new net.Socket();
    await expect(dial(AbortSignal.abort())).rejects.toMatchObject(refused('the client has left'));
    expect(socket.destroyed).toBe(true);
  });
});

describe('the name that is dialled', () => {
  type Found = [error: Error | null, address: unknown, family?: unknown];
  const lookUp = async (lookUpName: LookUpName, options: { all?: boolean }): Promise<Found> => {
    dialTcp(lookUpName)(address, { by: 'alice', signal: new AbortController().signal }).catch(
      () => undefined,
    );
    return new Promise((resolve) => {
      wanted.lookup?.('node1', options, (...found) => {
        resolve(found);
      });
    });
  };
  const two: LookUpName = (name, { by }) =>
    Promise.resolve(name === 'node1' && by === 'alice' ? ['10.0.0.1', 'fd00::1'] : []);

  it('is looked up in the turn of who asks: every address where all are wanted, else the first', async () => {
    expect(await lookUp(two, { all: true })).toEqual([
      null,
      [
        { address: '10.0.0.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ],
    ]);
    for (const options of [{ all: false }, {}])
      expect(await lookUp(two, options)).toEqual([null, '10.0.0.1', 4]);
    expect(await lookUp(() => Promise.resolve([]), {})).toEqual([null, '', 0]);
  });

  it('that is not found fails with why', async () => {
    const why = new Error('the name is not known');
    expect(await lookUp(() => Promise.reject(why), { all: true })).toEqual([why, '']);
  });
});
