import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export const linkFaults = ['cut', 'slow', 'deaf', 'mute', 'cut answers'] as const;
/**
 * `cut`: no connection lives or begins. `slow`: each piece comes late. `deaf`: what clients send is
 * swallowed, `mute`: what the server answers; connections stay open, and end when the fault does.
 * `cut answers`: each answer of some size resets its connection instead.
 */
export type LinkFault = (typeof linkFaults)[number];

/** A connection in the middle of which somebody stands. */
export interface BadLink {
  readonly url: string;
  suffer(fault: LinkFault): void;
  heal(): void;
  close(): Promise<void>;
}

const slowMs = 150;
/** Bytes of settings, pings and windows. */
const smallTalk = 60;

/** Passes connections on to `port` of this machine. */
export async function badLink(port: number): Promise<BadLink> {
  let fault: LinkFault | undefined;
  const pairs = new Set<readonly [Socket, Socket]>();
  const cutAll = (): void => {
    for (const pair of pairs) for (const one of pair) one.resetAndDestroy();
    pairs.clear();
  };
  const server = createServer((client) => {
    if (fault === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(port, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      for (const one of pair) one.resetAndDestroy();
    };
    const pass = (to: Socket, data: Buffer): void => {
      if (to.destroyed) return;
      to.write(data);
    };
    // Pieces keep their order also when the fault ends while some are late.
    const [sending, answering] = [orderly(), orderly()];
    client.on('data', (data) => {
      if (fault === 'deaf') return;
      sending(fault === 'slow' ? slowMs : 0, () => {
        pass(upstream, data);
      });
    });
    upstream.on('data', (data) => {
      if (fault === 'mute') return;
      if (fault === 'cut answers' && data.length > smallTalk) end();
      else
        answering(fault === 'slow' ? slowMs : 0, () => {
          pass(client, data);
        });
    });
    for (const one of pair) for (const event of ['error', 'close']) one.on(event, end);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    suffer: (next) => {
      fault = next;
      if (next === 'cut') cutAll();
    },
    heal: () => {
      // A connection that lost bytes in the middle cannot go on.
      if (fault === 'deaf' || fault === 'mute') cutAll();
      fault = undefined;
    },
    close: () =>
      new Promise((closed) => {
        cutAll();
        server.close(() => {
          closed();
        });
      }),
  };
}

/** Does things late, one after the other. */
function orderly(): (lateMs: number, act: () => void) => void {
  let last = 0;
  let waiting = 0;
  return (lateMs, act) => {
    const due = Math.max(last, performance.now() + lateMs);
    if (waiting === 0 && lateMs === 0) {
      act();
      return;
    }
    last = due;
    waiting++;
    setTimeout(() => {
      waiting--;
      act();
    }, due - performance.now());
  };
}
