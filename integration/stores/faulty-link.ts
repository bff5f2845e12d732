import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A TCP connection in the middle of which somebody stands. */
export interface FaultyLink {
  readonly port: number;
  /** The next answer is not let through: both ends of its connection are reset instead. */
  cutNextAnswer(): void;
  /**
   * What clients send from now on is kept, whatever becomes of their connections, until `release` sends it
   * on.
   */
  hold(): void;
  release(): void;
  /** Calls back once, when so many answers came that are larger than the small talk of a connection. */
  onAnswers(count: number, act: () => void): void;
  /** Resets every connection that is open now. */
  cutAll(): void;
  /** Answers that were lost. */
  readonly lost: () => number;
  close(): Promise<void>;
}

/** Bytes of settings, pings and windows. */
const smallTalk = 60;

/** Passes connections on to `port` of this machine. */
export async function faultyLink(port: number): Promise<FaultyLink> {
  let cutting = false;
  let lost = 0;
  let answersLeft = 0;
  let reached = (): void => undefined;
  let held: (() => void)[] | undefined;
  const later = (act: () => void): void => {
    if (held) held.push(act);
    else act();
  };
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      for (const one of pair) one.resetAndDestroy();
    };
    client.on('data', (data) => {
      later(() => upstream.write(data));
    });
    upstream.on('data', (data) => {
      if (data.length > smallTalk && --answersLeft === 0) reached();
      if (cutting) {
        cutting = false;
        lost++;
        end();
      } else client.write(data);
    });
    upstream.on('error', end);
    upstream.on('close', end);
    for (const event of ['error', 'close'])
      client.on(event, () => {
        later(end);
      });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as AddressInfo).port,
    cutNextAnswer: () => {
      cutting = true;
    },
    hold: () => {
      held ??= [];
    },
    release: () => {
      const acts = held ?? [];
      held = undefined;
      for (const act of acts) act();
    },
    onAnswers: (count, act) => {
      [answersLeft, reached] = [count, act];
    },
    cutAll: () => {
      for (const [client, upstream] of pairs) {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      }
    },
    lost: () => lost,
    close: () =>
      new Promise((closed) => {
        for (const [client, upstream] of pairs) {
          client.destroy();
          upstream.destroy();
        }
        server.close(() => {
          closed();
        });
      }),
  };
}
