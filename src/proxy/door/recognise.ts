import { relayProtocol } from '../../base/relay-protocol.ts';
import { linkProtocol } from '../../tunnel/link-tls.ts';
import { readClientHello } from '../../tunnel/client-hello.ts';

/** What a connection to a proxy is by its first bytes. */
export type Visitor =
  /** A client of SSH. Source: RFC 4253, 4.2. */
  | 'ssh'
  /** TLS that carries a link of a node or of another proxy. */
  | 'link'
  /** TLS for an auth server: passed on unopened. */
  | 'auth'
  /** Any other TLS: the web. */
  | 'tls'
  /** HTTP without TLS, or nothing that we know. */
  | 'plain';

/** First byte of every TLS connection: a handshake record. Source: RFC 8446, 5.1. */
const tlsHandshake = 0x16;
const ssh = Buffer.from('SSH-');

/** Undefined while the bytes may still become one or the other. Total, and pure. */
export function recognise(first: Buffer): Visitor | undefined {
  if (first.length === 0) return undefined;
  if (first[0] === tlsHandshake) return recogniseTls(first);
  const known = Math.min(first.length, ssh.length);
  if (!first.subarray(0, known).equals(ssh.subarray(0, known))) return 'plain';
  return known < ssh.length ? undefined : 'ssh';
}

function recogniseTls(first: Buffer): Visitor | undefined {
  const reading = readClientHello(first);
  if (reading.status === 'incomplete') return undefined;
  if (reading.status === 'other') return 'tls';
  const { protocols } = reading.hello;
  if (protocols.includes(linkProtocol)) return 'link';
  return protocols.includes(relayProtocol) ? 'auth' : 'tls';
}
