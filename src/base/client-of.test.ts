import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { clientOf, endsOf, tellClient } from './client-of.ts';

let port = 0;
const open = (): Socket =>
  Object.assign(new EventEmitter(), {
    ...{ remoteAddress: '10.0.0.5', remotePort: ++port, localAddress: '10.0.0.9', localPort: 443 },
  }) as unknown as Socket;
/** TLS on a connection has the same ends. */
const overTls = ({ remoteAddress, remotePort, localAddress, localPort }: Socket) => ({
  ...{ remoteAddress, remotePort, localAddress, localPort },
});
const own = (socket: Socket) => ({ host: '10.0.0.5', port: socket.remotePort });
const client = { host: '203.0.113.9', port: 4711 };

describe('the client of a connection', () => {
  it('is at its other end, where nobody told more', () => {
    const socket = open();
    expect(clientOf(socket)).toEqual({ status: 'direct', address: own(socket) });
  });

  it('is unknown for a connection within this process, and for one that is closed', () => {
    expect(clientOf({})).toEqual({ status: 'direct', address: undefined });
    expect(endsOf({ remoteAddress: '10.0.0.5' })).toBeUndefined();
    expect(() => {
      tellClient(new EventEmitter() as never, client);
    }).not.toThrow();
  });

  it('is whom the balancer named, for the connection and the TLS on it, beside the balancer', () => {
    const [socket, other] = [open(), open()];
    tellClient(socket, client);
    for (const one of [socket, overTls(socket)])
      expect(clientOf(one)).toEqual({ status: 'named', address: client, balancer: own(socket) });
    expect(clientOf(other).status).toBe('direct');
  });

  it('is whom the last balancer before us named, though somebody asked before that was told', () => {
    const socket = open();
    tellClient(socket, { ...client, host: '10.0.0.6' });
    expect(clientOf(socket)).toMatchObject({ status: 'named', address: { host: '10.0.0.6' } });
    tellClient(socket, client);
    expect(clientOf(socket)).toEqual({ status: 'named', address: client, balancer: own(socket) });
  });

  it('is the balancer itself, where it named nobody', () => {
    const socket = open();
    tellClient(socket, undefined);
    expect(clientOf(socket)).toEqual({ status: 'unnamed', address: own(socket) });
  });

  it('is forgotten when the connection closes, not when an older one with the same ends does', () => {
    const older = open();
    tellClient(older, client);
    const newer = Object.assign(new EventEmitter(), overTls(older)) as unknown as Socket;
    tellClient(newer, { ...client, port: 4712 });
    older.emit('close');
    expect(clientOf(overTls(newer))).toMatchObject({ status: 'named', address: { port: 4712 } });
    const asked = overTls(newer);
    expect(clientOf(asked).status).toBe('named');
    newer.emit('close');
    expect(clientOf(overTls(newer)).status).toBe('direct');
    // Somebody may ask again while a request of it is still being served.
    expect(clientOf(asked)).toMatchObject({ status: 'named', address: { port: 4712 } });
  });
});
