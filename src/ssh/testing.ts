import { Duplex } from 'node:stream';
import { ConnectionLayer, noData, type ConnectionLayerOptions } from './connection-layer.ts';
import { fixedWindow } from './receive-window.ts';

export const WINDOW = 256 * 1024;

export interface Side {
  readonly layer: ConnectionLayer;
  /** Messages that it sent. */
  readonly sent: Buffer[];
  /** False holds its channel data back. */
  writable: boolean;
}

/** Two layers, each other's peer. What one sends reaches the other in a later turn, as over a socket. */
export function pair(server: Partial<ConnectionLayerOptions> = {}): {
  client: Side;
  server: Side;
  cut: () => void;
} {
  let cut = false;
  const make = (role: Partial<ConnectionLayerOptions>, other: () => Side): Side => {
    const sent: Buffer[] = [];
    const side: Side = {
      sent,
      writable: true,
      layer: new ConnectionLayer({
        transport: {
          send: (header, body = noData) => {
            const message = Buffer.concat([header, body]);
            sent.push(message);
            queueMicrotask(() => {
              if (!cut) other().layer.receive(message);
            });
          },
          writable: () => side.writable,
        },
        maxChannels: 10,
        openWindow: () => fixedWindow(WINDOW),
        readsStderr: true,
        onOpen: (open) => {
          open.reject('prohibited', 'not here');
        },
        onGlobalRequest: () => undefined,
        ...role,
      }),
    };
    return side;
  };
  const sides: { client: Side; server: Side } = {
    client: make({}, () => sides.server),
    server: make(server, () => sides.client),
  };
  return {
    ...sides,
    cut: () => {
      cut = true;
      sides.client.layer.lost();
    },
  };
}

export const text = async (stream: AsyncIterable<unknown>): Promise<string> => {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
};
/** Of channel data that it sent. */
export const dataBytes = (side: Side): number =>
  side.sent.filter((m) => m[0] === 94).reduce((sum, m) => sum + m.length - 9, 0);

/** Two ends of a line in memory. */
export function memoryLine(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0])
    ends.push(
      new Duplex({
        read: () => undefined,
        write: (chunk: Buffer, _encoding, done) => {
          // Not in the same turn: no socket does that.
          setImmediate(() => {
            ends[other]?.push(Buffer.from(chunk));
            done();
          });
        },
        final: (done) => {
          ends[other]?.push(null);
          done();
        },
      }),
    );
  return ends as [Duplex, Duplex];
}
