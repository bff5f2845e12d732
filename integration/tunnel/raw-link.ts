import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { realWorld } from '../../src/base/world.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { Link } from '../../src/tunnel/link.ts';
import type { Asked } from '../../src/tunnel/link-options.ts';
import { linkProtocol } from '../../src/tunnel/link-tls.ts';

export type Shown = Pick<HostIdentity, 'privateKeyPem' | 'tlsCertificatePem'>;

/** TLS as for a link, that checks nothing about the proxy. @param from another address of this machine. */
export function linkTlsTo(port: number, shown?: Shown, from = '127.0.0.1'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      socket: connect({ port, host: '127.0.0.1', localAddress: from }),
      servername: 'teleport.cluster.local',
      ALPNProtocols: [linkProtocol],
      rejectUnauthorized: false,
      ...(shown && { key: shown.privateKeyPem, cert: shown.tlsCertificatePem }),
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject).on('error', () => undefined); // `close` follows
      resolve(socket);
    });
  });
}

/** A link as a machine opens one, and all that the proxy says on it. */
export interface RawLink {
  readonly link: Link;
  readonly said: unknown[];
  /** Streams that the proxy has opened to it. */
  readonly asked: Asked[];
  readonly open: (wish: unknown) => Promise<Duplex>;
}

export async function openRawLink(port: number, shown?: Shown, from?: string): Promise<RawLink> {
  const said: unknown[] = [];
  const asked: Asked[] = [];
  const link = new Link(await linkTlsTo(port, shown, from), {
    end: 'dialler',
    monotonic: () => realWorld.monotonic(),
    onNotice: (one) => said.push(one),
    onAsked: (one) => {
      asked.push(one);
      one.accept();
    },
  });
  return { link, said, asked, open: (wish) => link.open(wish, new AbortController().signal) };
}
