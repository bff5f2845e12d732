import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP balancer of this machine that counts. */
export interface CountingRelay {
  readonly address: string;
  /** Bytes that came from the servers, in all. */
  readonly received: () => number;
  /** When each connection came in, in ms since the relay was opened. */
  readonly dialled: readonly number[];
  close(): Promise<void>;
}

/** Sends each new connection to the first of these ports that takes it, and hangs up when none does. */
export async function countingRelay(...ports: readonly number[]): Promise<CountingRelay> {
  const began = performance.now();
  const dialled: number[] = [];
  const open = new Set<Socket>();
  let received = 0;
  const server = createServer((client) => {
    dialled.push(performance.now() - began);
    open.add(client);
    client.once('close', () => open.delete(client));
    client.on('error', () => client.destroy());
    const pass = ([port, ...others]: readonly number[]): void => {
      if (port === undefined || client.destroyed) {
        client.destroy();
        return;
      }
      const upstream = connect(port, '127.0.0.1');
      const next = (): void => {
        pass(others);
      };
      upstream.once('error', next);
      upstream.once('connect', () => {
        upstream.off('error', next);
        upstream.on('error', () => client.destroy());
        upstream.on('data', (data) => (received += data.length));
        upstream.once('close', () => client.destroy());
        client.once('close', () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    pass(ports);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => received,
    dialled,
    close: () => {
      for (const client of open) client.destroy();
      return new Promise((closed) =>
        server.close(() => {
          closed();
        }),
      );
    },
  };
}
