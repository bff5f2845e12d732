import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP balancer of this machine. */
export interface TurnBalancer {
  readonly port: number;
  /** How many connections each port was given. */
  readonly given: ReadonlyMap<number, number>;
  /** `turns`: one after the other; a port: always that one, while it takes connections. */
  lead(to: 'turns' | number): void;
  close(): Promise<void>;
}

/**
 * Passes connections on to these ports; one that takes none is passed over.
 * @param host where it listens.
 */
export async function turnBalancer(ports: readonly number[], host = '127.0.0.1'): Promise<TurnBalancer> {
  const open = new Set<Socket>();
  const given = new Map(ports.map((port) => [port, 0]));
  let lead: 'turns' | number = 'turns';
  let turn = 0;
  const inOrder = (): readonly number[] => {
    const first = lead === 'turns' ? turn++ % ports.length : Math.max(0, ports.indexOf(lead));
    return [...ports.slice(first), ...ports.slice(0, first)];
  };
  const pass = (client: Socket, [port, ...others]: readonly number[]): void => {
    if (port === undefined || client.destroyed) {
      client.destroy();
      return;
    }
    const upstream = connect(port, '127.0.0.1');
    const next = (): void => {
      pass(client, others);
    };
    upstream.once('error', next);
    upstream.once('connect', () => {
      given.set(port, (given.get(port) ?? 0) + 1);
      upstream.off('error', next);
      upstream.on('error', () => client.destroy());
      upstream.once('close', () => client.destroy());
      client.once('close', () => upstream.destroy());
      client.pipe(upstream).pipe(client);
    });
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    open.add(client);
    client.once('close', () => open.delete(client));
    client.on('error', () => client.destroy());
    pass(client, inOrder());
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    given,
    lead: (to) => {
      lead = to;
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
