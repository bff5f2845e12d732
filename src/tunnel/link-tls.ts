import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import { dialTls } from '../base/dial-tls.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { type Instant, second } from '../base/time.ts';
import { secureContextOf, type TlsContext } from '../base/tls-policy.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { issuedBy } from '../pki/issued-by.ts';
import { serialOfX509 } from '../pki/serial.ts';
import { tlsIdentityOf } from '../pki/tls-identity.ts';
import { alternativeNamesOf } from '../pki/x509-alternative-names.ts';

/** By this name TLS says that it carries a link, before anything is encrypted (ALPN). */
export const linkProtocol = 'teleport-link/1';
/** In the certificates of all proxies. Source: reference 4.4, auth API. */
const serverName = 'teleport.cluster.local';
const greetingMs = 10 * second;

/** The machine at the other end of a link, by its certificate. */
export interface LinkPeer {
  readonly hostId: string;
  readonly role: string;
  readonly clusterName: string;
  /** DNS names and IP addresses of its certificate. */
  readonly names: readonly string[];
  /** Of its certificate. */
  readonly serial: bigint;
}

/** A cluster, by the keys that sign for its machines. */
export interface LinkCluster {
  readonly clusterName: string;
  /** PEM: those that are trusted now. */
  readonly authorities: readonly string[];
}

/** Which host certificates are accepted. */
export interface Accepted extends LinkCluster {
  readonly now: Instant;
}

/** One message for whatever is wrong with a certificate. */
const refused = (): CodedError =>
  new CodedError('access_denied', 'access denied: the certificate is not valid here');

/**
 * Whose certificate this is. @throws CodedError `access_denied` when it is not valid now, under none of the
 * authorities, or not of a machine of the cluster.
 */
export function linkPeerOf(
  certificate: X509Certificate,
  { clusterName, authorities, now }: Accepted,
): LinkPeer {
  const at = Date.parse(now);
  const isValid = certificate.validFromDate.getTime() <= at && at < certificate.validToDate.getTime();
  if (!isValid || !authorities.some((pem) => issuedBy(certificate, pem))) throw refused();
  const { username, groups } = tlsIdentityOf(certificate);
  const suffix = `.${clusterName}`;
  const [role = ''] = groups;
  if (groups.length !== 1 || !username.endsWith(suffix)) throw refused();
  return {
    hostId: username.slice(0, -suffix.length),
    role,
    clusterName,
    names: alternativeNamesOf(certificate),
    serial: serialOfX509(certificate),
  };
}

/**
 * The same where machines of several clusters may come: it is of the one whose key has signed it, and has to
 * name that one. A key that several have says nothing. @throws CodedError as `linkPeerOf`
 */
export function linkPeerAmong(
  certificate: X509Certificate,
  clusters: readonly LinkCluster[],
  now: Instant,
): LinkPeer {
  const [signer, ...others] = clusters.filter(({ authorities }) =>
    authorities.some((pem) => issuedBy(certificate, pem)),
  );
  if (signer === undefined || others.length > 0) throw refused();
  return linkPeerOf(certificate, { ...signer, now });
}

/**
 * TLS for a link over an open connection, which is destroyed when it fails. The other end has to be a proxy.
 * @throws CodedError `unavailable` with what TLS says, when `signal` is aborted, or for what is no proxy.
 */
export async function dialLinkTls(
  connection: Duplex,
  identity: HostIdentity,
  accepted: Accepted,
  signal: AbortSignal,
): Promise<{ readonly socket: TLSSocket; readonly peer: LinkPeer }> {
  const socket = dialTls({
    socket: connection,
    servername: serverName,
    ALPNProtocols: [linkProtocol],
    secureContext: contextOf(identity, accepted.authorities),
  });
  const fail = (): void => void socket.destroy();
  signal.addEventListener('abort', fail);
  connection.on('error', (e) => socket.destroy(e));
  try {
    if (signal.aborted) fail();
    await handshaken(socket);
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) throw refused();
    const peer = linkPeerOf(certificate, accepted);
    if (peer.role !== 'Proxy')
      throw new CodedError('unavailable', `what answers there is no proxy, but a ${peer.role}`);
    if (socket.alpnProtocol !== linkProtocol)
      throw new CodedError('unavailable', 'the proxy is of a release without tunnels');
    return { socket, peer };
  } catch (e) {
    socket.on('error', () => undefined); // it is given up
    socket.destroy();
    connection.destroy();
    if (isCoded(e, 'unavailable')) throw e;
    throw new CodedError('unavailable', signal.aborted ? 'no answer in time' : messageOf(e), { cause: e });
  } finally {
    signal.removeEventListener('abort', fail);
  }
}

/** Reading keys and certificates takes as long as half a handshake. */
const contexts = new WeakMap<
  HostIdentity,
  { readonly authorities: string; readonly context: SecureContext }
>();

function contextOf(identity: HostIdentity, trusted: readonly string[]): SecureContext {
  const authorities = trusted.join();
  const known = contexts.get(identity);
  if (known?.authorities === authorities) return known.context;
  const context = createSecureContext(
    secureContextOf({ key: identity.privateKeyPem, cert: identity.tlsCertificatePem, ca: trusted }),
  );
  contexts.set(identity, { authorities, context });
  return context;
}

function handshaken(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      reject(new CodedError('unavailable', 'the connection was closed during the TLS handshake'));
    });
  });
}

/**
 * TLS at the end that links come to. It does not listen: give it connections by `emit('connection', …)`.
 * Who comes is decided by `onLink`, with `linkPeerOf`: TLS itself lets anybody in.
 */
export function linkServer(context: TlsContext, onLink: (socket: TLSSocket) => void): Server {
  const server = createServer(
    {
      ...secureContextOf(context),
      ALPNProtocols: [linkProtocol],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: greetingMs,
    },
    onLink,
  );
  server.on('tlsClientError', (_e, socket) => {
    socket.destroy();
  });
  return server;
}
