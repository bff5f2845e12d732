import { type AddressInfo, Server } from 'node:net';
import { CodedError, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort, type Listeners } from '../base/service.ts';
import type { Inheritance, InheritedListener } from './lifecycle/inheritance.ts';
import type { HeaderGate } from './header-gate.ts';
import type { ProcessStrangers } from './strangers.ts';

/** The setting that determines a listener's address, for its errors. */
const settings: Readonly<Record<string, string>> = {
  auth: 'auth_service.listen_addr',
  node: 'ssh_service.listen_addr',
  'proxy:ssh': 'proxy_service.listen_addr',
  'proxy:web': 'proxy_service.web_listen_addr',
  'proxy:tunnel': 'proxy_service.tunnel_listen_addr',
  'proxy:peer': 'proxy_service.peer_listen_addr',
  diag: '--diag-addr',
};

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another process',
  EACCES: 'this user may not listen on that port',
  EADDRNOTAVAIL: 'this machine does not have that address',
};

/** Connections that may wait to be accepted; also for a listener that was inherited. */
const backlog = 1024;

/** The listeners of this process. */
export interface ProcessListeners extends Listeners {
  addresses(): ReadonlyMap<string, HostPort>;
  /** What a successor is given. The descriptors stay ours. */
  handOver(): InheritedListener[];
  /**
   * Accepts no new connections; existing ones stay. Never through a server's own `close`: HTTP's also cuts
   * idle connections, to which a client may be writing at that moment.
   */
  stopAccepting(): void;
  /** Connections that no service has seen yet are closed. */
  cutWaiting(): void;
  /** How many connections each has now. */
  connections(): Promise<ReadonlyMap<string, number>>;
}

interface Open {
  readonly server: Server;
  readonly asked: HostPort;
  readonly bound: HostPort;
}

/**
 * Opens listeners by name: an inherited one where there is one for that name and address.
 * @param gate stands before the services.
 */
export function openListeners(
  strangers: ProcessStrangers,
  gate: Pick<HeaderGate, 'guard' | 'cutWaiting'>,
  inheritance?: Pick<Inheritance, 'take'>,
): ProcessListeners {
  const open = new Map<string, Open>();
  return {
    strangers,
    addresses: () => new Map([...open].map(([name, { bound }]) => [name, bound])),
    listen: async (name, server, asked) => {
      const fd = inheritance?.take(name, asked);
      if (!gate.guard(name, server)) strangers.watch(name, server);
      await listening(name, server, asked, fd);
      const bound = { host: asked.host, port: (server.address() as AddressInfo).port };
      const entry = { server, asked, bound };
      open.set(name, entry);
      server.once('close', () => {
        if (open.get(name) === entry) open.delete(name);
      });
      return bound;
    },
    handOver: () =>
      [...open].flatMap(([name, { server, asked }]) => {
        const fd = descriptorOf(server);
        return fd === undefined ? [] : [{ name, addr: formatHostPort(asked), fd }];
      }),
    stopAccepting: () => {
      for (const { server } of open.values()) Server.prototype.close.call(server);
    },
    cutWaiting: () => {
      gate.cutWaiting();
    },
    connections: async () =>
      new Map(
        await Promise.all(
          [...open].map(async ([name, { server }]) => [name, await countOf(server)] as const),
        ),
      ),
  };
}

function listening(name: string, server: Server, asked: HostPort, fd: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (e: NodeJS.ErrnoException): void => {
      reject(
        new CodedError(
          'misconfigured',
          `cannot listen on ${formatHostPort(asked)} for ${name}: ${reasons[e.code ?? ''] ?? messageOf(e)} ` +
            `(set ${settings[name] ?? name})`,
          { cause: e },
        ),
      );
    };
    const done = (): void => {
      server.off('error', fail);
      resolve();
    };
    server.once('error', fail);
    // As a separate argument: in the options beside `fd`, Node ignores the backlog.
    if (fd !== undefined) server.listen({ fd }, backlog, done);
    else server.listen({ host: asked.host, port: asked.port, backlog }, done);
  });
}

/** Node has no public way to get a listener's descriptor; undefined when it does not listen any more. */
function descriptorOf(server: Server): number | undefined {
  const { _handle: handle } = server as unknown as { _handle?: { fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

const countOf = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.getConnections((e, count) => {
      resolve(e ? 0 : count);
    });
  });
