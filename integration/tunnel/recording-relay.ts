import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';

/** Something between a node and a proxy, which keeps what it sees. */
export interface RecordingRelay {
  readonly port: number;
  /** All that it has passed on, in both directions, as latin1. */
  seen(): string;
  /** How many connections it has cut for their silence. */
  cuts(): number;
  /** How many have been made through it. */
  connections(): number;
  close(): Promise<void>;
}

export interface RelayOptions {
  /** It ends TLS with this pair, and passes on what is inside. Files. */
  readonly pair?: { readonly key: string; readonly cert: string };
  /** It cuts what is silent for so long. */
  readonly silenceMs?: number;
  /** It collects what comes, and passes it on so often. */
  readonly holdMs?: number;
}

export async function recordingRelay(to: number, options: RelayOptions = {}): Promise<RecordingRelay> {
  const { pair, silenceMs, holdMs } = options;
  const seen: string[] = [];
  const open = new Set<Socket>();
  let cuts = 0;
  let connections = 0;
  const pass = (from: Socket, into: Socket): void => {
    let held: Buffer[] = [];
    const give = (): void => {
      if (held.length > 0) into.write(Buffer.concat(held));
      held = [];
    };
    const ticker = holdMs === undefined ? undefined : setInterval(give, holdMs);
    from.on('data', (data: Buffer) => {
      seen.push(data.toString('latin1'));
      held.push(data);
      if (ticker === undefined) give();
    });
    from.on('end', () => {
      give();
      into.end();
    });
    from.on('error', () => into.destroy());
    from.once('close', () => {
      clearInterval(ticker);
      give();
      into.destroy();
    });
  };
  const accept = (near: Socket): void => {
    connections++;
    const far = connect(to, '127.0.0.1');
    for (const one of [near, far]) {
      open.add(one);
      one.once('close', () => open.delete(one));
    }
    if (silenceMs !== undefined)
      near.setTimeout(silenceMs, () => {
        cuts++;
        near.destroy();
      });
    pass(near, far);
    pass(far, near);
  };
  const server: Server =
    pair === undefined
      ? createTcp({ allowHalfOpen: true }, accept)
      : createTls({ key: readFileSync(pair.key), cert: readFileSync(pair.cert) }, accept);
  server.on('tlsClientError', () => undefined); // whoever asked for a link first: there is none here
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    port: (server.address() as AddressInfo).port,
    seen: () => seen.join(''),
    cuts: () => cuts,
    connections: () => connections,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
