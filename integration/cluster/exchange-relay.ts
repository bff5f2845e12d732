import { connect, createServer, type Socket } from 'node:net';
import { freePorts } from '../harness/own-ports.ts';

/** Stands between two clusters. */
export interface ExchangeRelay {
  readonly port: number;
  /** Keeps answers back from now on, or passes on what was kept and all that follows. */
  hold(on: boolean): void;
  close(): void;
}

/**
 * What a client sends after its greeting (the end of its handshake) is shorter than this, and a statement of
 * keys is longer.
 */
const shorterThanStatement = 1_000;

/**
 * Passes on whatever comes to a port. While it holds, it keeps back what is answered to a request that is as
 * long as an exchange of keys; handshakes and short requests pass.
 */
export async function exchangeRelay(to: number): Promise<ExchangeRelay> {
  const [port = 0] = await freePorts(1);
  const sockets = new Set<Socket>();
  const kept: (() => void)[] = [];
  let isHolding = false;
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: to });
    for (const one of [near, far]) {
      sockets.add(one);
      one.on('error', () => {
        near.destroy();
        far.destroy();
      });
    }
    let greeting: number | undefined;
    let sent = 0;
    near.on('data', (chunk: Buffer) => {
      greeting ??= chunk.length;
      sent += chunk.length;
      far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      const isLong = sent - (greeting ?? 0) > shorterThanStatement;
      if (isHolding && isLong) kept.push(() => near.write(chunk));
      else near.write(chunk);
    });
    near.on('close', () => far.destroy());
    far.on('close', () => {
      if (!isHolding) near.destroy();
    });
  });
  await new Promise<void>((ready) => server.listen(port, '127.0.0.1', ready));
  return {
    port,
    hold: (on) => {
      isHolding = on;
      if (!on) for (const pass of kept.splice(0)) pass();
    },
    close: () => {
      server.close();
      for (const one of sockets) one.destroy();
    },
  };
}
