import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { frame, FrameReader, type FrameType } from './frames.ts';
import { Link } from './link.ts';
import type { Asked, LinkOptions } from './link-options.ts';

const ends: (() => void)[] = [];
/** Called when the test ends. */
export const atEnd = (end: () => void): void => void ends.push(end);

/** Ends all links of a test. */
export function endLinks(): void {
  for (const end of ends.splice(0)) end();
}
export const never = new AbortController().signal;
export const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await turn();
};

/** Two ends of a link, and what one of them is asked for. */
export interface Linked {
  readonly a: Link;
  readonly b: Link;
  readonly asked: Asked[];
  /** A stream and its other end. */
  readonly open: () => Promise<readonly [Duplex, Duplex]>;
}

export function linked(
  connections: readonly [Duplex, Duplex],
  there: Partial<LinkOptions>,
  here: Partial<LinkOptions>,
): Linked {
  const asked: Asked[] = [];
  const a = new Link(connections[0], { end: 'dialler', ...here });
  const b = new Link(connections[1], { end: 'acceptor', onAsked: (one) => asked.push(one), ...there });
  ends.push(() => {
    a.close('the test is over');
    b.close('the test is over');
  });
  /** A stream and its other end. */
  const open = async (): Promise<readonly [Duplex, Duplex]> => {
    const opening = a.open({ to: 'x' }, never);
    await until(() => asked.length > 0);
    const far = accepted(asked.shift());
    return [await opening, far];
  };
  return { a, b, asked, open };
}
export const rig = (there: Partial<LinkOptions> = {}, here: Partial<LinkOptions> = {}): Linked =>
  linked(duplexPair(), there, here);

export async function overSockets(): Promise<Linked & { readonly near: Socket; readonly far: Socket }> {
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  return { ...linked([near, far], {}, {}), near, far };
}

/** A link, and the frames that its other end sees. */
export interface Against {
  readonly link: Link;
  readonly asked: Asked[];
  readonly seen: { type: FrameType; stream: number; body: Buffer }[];
  readonly read: () => void;
  readonly send: (type: FrameType, stream: number, body?: Buffer) => void;
  readonly far: Duplex;
  readonly wish: Buffer;
}

/** A link whose other end is the test: it writes frames, and sees those that come. */
export function against(options: Partial<LinkOptions> = {}): Against {
  const [near, far] = duplexPair();
  const asked: Asked[] = [];
  const link = new Link(near, { end: 'acceptor', onAsked: (one) => asked.push(one), ...options });
  const seen: { type: FrameType; stream: number; body: Buffer }[] = [];
  const reader = new FrameReader((one) => seen.push(one));
  const read = (): void =>
    void far.on('data', (chunk: Buffer) => {
      reader.push(chunk);
    });
  const send = (type: FrameType, stream: number, body?: Buffer): void =>
    void far.write(frame(type, stream, body));
  const wish = Buffer.from('{}');
  far.on('error', () => undefined);
  near.once('close', () => far.destroy());
  ends.push(() => {
    link.close('the test is over');
  });
  return { link, asked, seen, read, send, far, wish };
}

function accepted(asked: Asked | undefined): Duplex {
  if (asked === undefined) throw new Error('nothing was asked for');
  return asked.accept();
}
