import type { AddressInfo, Server } from 'node:net';
import { CodedError, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort, type Listeners } from '../base/service.ts';

/** Which setting chooses a listener's address, so that an error can name it. */
const settings: Readonly<Record<string, string>> = {
  auth: 'auth_service.listen_addr',
  node: 'ssh_service.listen_addr',
  'proxy:ssh': 'proxy_service.listen_addr',
  'proxy:web': 'proxy_service.web_listen_addr',
  diag: '--diag-addr',
};

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another process',
  EACCES: 'this user may not listen on that port',
  EADDRNOTAVAIL: 'this machine does not have that address',
};

/** Opens listeners of this process by name. */
export function openListeners(): Listeners & { addresses(): ReadonlyMap<string, HostPort> } {
  const open = new Map<string, HostPort>();
  return {
    addresses: () => open,
    listen: (name, server, address) =>
      new Promise((resolve, reject) => {
        const fail = (e: NodeJS.ErrnoException): void => {
          reject(
            new CodedError(
              'misconfigured',
              `cannot listen on ${formatHostPort(address)} for ${name}: ${reasons[e.code ?? ''] ?? messageOf(e)} ` +
                `(set ${settings[name] ?? name})`,
              { cause: e },
            ),
          );
        };
        server.once('error', fail);
        server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
          server.off('error', fail);
          const bound = boundAddress(server, address);
          open.set(name, bound);
          server.once('close', () => open.delete(name));
          resolve(bound);
        });
      }),
  };
}

function boundAddress(server: Server, asked: HostPort): HostPort {
  const { port } = server.address() as AddressInfo;
  return { host: asked.host, port };
}
