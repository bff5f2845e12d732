import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { HostPort } from '../../src/base/service.ts';

/** A TCP relay that counts what passes. */
export interface LinkMeter {
  readonly address: HostPort;
  /** Bytes from the server to its clients, since the start. */
  received(): number;
  connections(): number;
  /** Breaks what is open; new connections pass. */
  cut(): void;
  close(): Promise<void>;
}

export async function meterTo(target: HostPort): Promise<LinkMeter> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let received = 0;
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connect(target.port, target.host);
    const pair = [near, far] as const;
    pairs.add(pair);
    far.on('data', (data) => (received += data.length));
    near.pipe(far).pipe(near);
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', 4096, ready));
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    received: () => received,
    connections: () => connections,
    cut,
    close: () => {
      cut();
      return new Promise((done) =>
        server.close(() => {
          done();
        }),
      );
    },
  };
}
