import type { Duplex } from 'node:stream';
import { CodedError, isCoded } from '../base/errors.ts';
import type { Agents } from '../tunnel/agents.ts';
import type { Asked } from '../tunnel/link-options.ts';
import { linkWishOf } from '../tunnel/link-wish.ts';

/** The connections that come to a node through its tunnels. */
export interface Tunnelled {
  /** Resolves when none is left. */
  gone(): Promise<void>;
}

/** Each goes to `accept`, as one of a listener does. */
export function acceptTunnelled(agents: Agents, accept: (connection: Duplex) => void): Tunnelled {
  const streams = new Set<Duplex>();
  agents.serve((asked) => {
    if (!isForNode(asked)) {
      asked.refuse(new CodedError('not_found', 'this node serves nothing but SSH'));
      return;
    }
    const stream = asked.accept();
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
    accept(stream);
  });
  return {
    gone: async () => {
      while (streams.size > 0)
        await Promise.all([...streams].map((one) => new Promise((closed) => one.once('close', closed))));
    },
  };
}

function isForNode({ wish }: Asked): boolean {
  try {
    return linkWishOf(wish).to === 'own-node';
  } catch (e) {
    if (!isCoded(e)) throw e;
    return false;
  }
}
