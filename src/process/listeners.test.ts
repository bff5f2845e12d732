import { closeSync, fstatSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { openListeners } from './listeners.ts';
import type { ProcessStrangers } from './strangers.ts';

const any: HostPort = { host: '127.0.0.1', port: 0 };
const servers: Server[] = [];
const sockets: Socket[] = [];
const make = (): Server => {
  const server = createServer((socket) => sockets.push(socket));
  servers.push(server);
  return server;
};
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

function trial(inheritance?: Parameters<typeof openListeners>[2], guarded = '') {
  const watched: string[] = [];
  const cut: string[] = [];
  const strangers = {
    watch: (name: string, server: Server) => {
      watched.push(`${name} ${server.listening ? 'too late' : 'before it listens'}`);
    },
  } as unknown as ProcessStrangers;
  const gate = {
    guard: (name: string, server: Server) => {
      if (name === guarded)
        watched.push(`${name} guarded ${server.listening ? 'too late' : 'before it listens'}`);
      return name === guarded;
    },
    cutWaiting: () => void cut.push('cut'),
  };
  const listeners = openListeners(strangers, gate, inheritance);
  return { listeners, watched, cut, strangers };
}

const dial = ({ host, port }: HostPort): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = new Socket();
    sockets.push(socket);
    socket.once('error', reject).connect(port, host, () => {
      resolve(socket);
    });
  });

describe('the listeners of a process', () => {
  it('are known by name with the port that they have, until they close', async () => {
    const { listeners, watched, strangers } = trial();
    const [node, auth] = [make(), make()];
    const bound = await listeners.listen('node', node, any);
    await listeners.listen('auth', auth, any);
    expect(listeners.strangers).toBe(strangers);
    expect(watched).toEqual(['node before it listens', 'auth before it listens']);
    expect(bound).toEqual({ host: '127.0.0.1', port: (node.address() as AddressInfo).port });
    expect([...listeners.addresses()].map(([name]) => name)).toEqual(['node', 'auth']);
    expect(listeners.addresses().get('node')).toEqual(bound);
    // What goes wrong later is for whoever opened the server.
    expect([node.listenerCount('error'), auth.listenerCount('error')]).toEqual([0, 0]);
    await new Promise((resolve) => node.close(resolve));
    expect([...listeners.addresses().keys()]).toEqual(['auth']);
  });

  it('have the gate before them where a header is due, which knows its strangers itself', async () => {
    const { listeners, watched, cut } = trial(undefined, 'auth');
    await listeners.listen('node', make(), any);
    await listeners.listen('auth', make(), any);
    expect(watched).toEqual(['node before it listens', 'auth guarded before it listens']);
    listeners.cutWaiting();
    expect(cut).toEqual(['cut']);
  });

  it('stay known when one of that name that was opened before closes', async () => {
    const { listeners } = trial();
    const [first, second] = [make(), make()];
    await listeners.listen('node', first, any);
    const bound = await listeners.listen('node', second, any);
    await new Promise((resolve) => first.close(resolve));
    expect(listeners.addresses().get('node')).toEqual(bound);
  });

  it('are handed over as they were asked for; closed ones are not', async () => {
    const { listeners } = trial();
    const [node, auth] = [make(), make()];
    await listeners.listen('node', node, any);
    await listeners.listen('auth', auth, any);
    auth.close(); // its event comes later
    const given = listeners.handOver();
    expect(given).toEqual([{ name: 'node', addr: '127.0.0.1:0', fd: expect.any(Number) as number }]);
    expect(fstatSync(given[0]?.fd ?? -1).isSocket()).toBe(true);
  });

  it('count who is connected', async () => {
    const { listeners } = trial();
    const node = make();
    const bound = await listeners.listen('node', node, any);
    await listeners.listen('auth', make(), any);
    const arrived = new Promise((resolve) => node.once('connection', resolve));
    await dial(bound);
    await arrived;
    expect([...(await listeners.connections())]).toEqual([
      ['node', 1],
      ['auth', 0],
    ]);
    vi.spyOn(node, 'getConnections').mockImplementation((done) => {
      done(new Error('it is closed'), 5);
      return node;
    });
    expect((await listeners.connections()).get('node')).toBe(0);
  });

  it('accept nobody any more when they are told to, and keep who is here', async () => {
    const { listeners } = trial();
    const node = make();
    // As HTTP's does: never to be used.
    const ownClose = vi.spyOn(node, 'close');
    const bound = await listeners.listen('node', node, any);
    const arrived = new Promise<Socket>((resolve) => node.once('connection', resolve));
    const here = await dial(bound);
    const served = await arrived;
    listeners.stopAccepting();
    expect(ownClose).not.toHaveBeenCalled();
    await expect(dial(bound)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    served.write('still here');
    expect(String(await new Promise((resolve) => here.once('data', resolve)))).toBe('still here');
  });
});

describe('a listener that was inherited', () => {
  it('is listened on in the place of a new one, with as long a queue', async () => {
    const asked: [string, HostPort][] = [];
    const { listeners } = trial({
      take: (name, address) => {
        asked.push([name, address]);
        return 33;
      },
    });
    const server = make();
    // One process cannot listen twice on the same open socket.
    const listen = vi.spyOn(server, 'listen').mockImplementation((...args: unknown[]) => {
      queueMicrotask(args[2] as () => void);
      return server;
    });
    vi.spyOn(server, 'address').mockReturnValue({ address: '10.9.9.9', port: 4711, family: 'IPv4' });
    const bound = await listeners.listen('node', server, { host: '10.9.9.9', port: 7 });
    expect(asked).toEqual([['node', { host: '10.9.9.9', port: 7 }]]);
    expect(listen.mock.calls[0]?.slice(0, 2)).toEqual([{ fd: 33 }, 1024]);
    expect(bound).toEqual({ host: '10.9.9.9', port: 4711 });
  });

  it('is asked for, and a new one opened where there is none', async () => {
    const { listeners } = trial({ take: () => undefined });
    const server = make();
    const listen = vi.spyOn(server, 'listen');
    expect((await listeners.listen('node', server, any)).port).toBeGreaterThan(0);
    expect(listen.mock.calls[0]?.[0]).toEqual({ ...any, backlog: 1024 });
  });
});

describe('an address that cannot be listened on', () => {
  const failing = (code: string): Server => {
    const server = make();
    vi.spyOn(server, 'listen').mockImplementation(() => {
      queueMicrotask(() => server.emit('error', Object.assign(new Error(`listen ${code}: no`), { code })));
      return server;
    });
    return server;
  };
  const asked = { host: '192.0.2.1', port: 22 };

  it.each([
    ['EADDRINUSE', 'node', 'the port is in use by another process (set ssh_service.listen_addr)'],
    ['EACCES', 'auth', 'this user may not listen on that port (set auth_service.listen_addr)'],
    ['EADDRNOTAVAIL', 'proxy:ssh', 'this machine does not have that address (set proxy_service.listen_addr)'],
    ['EMFILE', 'proxy:web', 'listen EMFILE: no (set proxy_service.web_listen_addr)'],
    ['EACCES', 'diag', 'this user may not listen on that port (set --diag-addr)'],
    ['EACCES', 'other', 'this user may not listen on that port (set other)'],
  ])('is told with the setting that chooses it: %s for %s', async (code, name, why) => {
    const { listeners } = trial();
    const refused = await listeners.listen(name, failing(code), asked).catch((e: unknown) => e);
    expect(refused).toBeInstanceOf(CodedError);
    expect(refused).toMatchObject({
      code: 'misconfigured',
      message: `cannot listen on 192.0.2.1:22 for ${name}: ${why}`,
      cause: { code },
    });
    expect([listeners.addresses().size, listeners.handOver()]).toEqual([0, []]);
  });
});

it('a descriptor that was handed over stays ours', async () => {
  const { listeners } = trial();
  const server = make();
  await listeners.listen('node', server, any);
  const fd = listeners.handOver()[0]?.fd ?? -1;
  expect(() => fstatSync(fd)).not.toThrow();
  expect(server.listening).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(() => {
    closeSync(fd);
  }).toThrow(/EBADF/);
});
