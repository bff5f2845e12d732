/**
 * How a node knows that the peer that names the true client is a proxy. The node's banner contains a
 * challenge, new for each connection; the proxy signs it, the node's host id and the client's address with
 * the key of its host certificate. So a proxy's statement to one node on one connection is valid for no
 * other, whoever sends it there, and no clock and no list of used numbers is needed. A node whose banner has
 * no challenge is of an older release, and gets the address unsigned.
 */
import { randomBytes, type KeyObject } from 'node:crypto';
import { isCoded, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { CertError, checkCertificate } from '../pki/check-ssh-certificate.ts';
import { hostIdentityOf } from '../pki/host-certificate.ts';
import { parseCertificate, type Certificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf, sigAlgsOf, signSsh, verifySsh } from '../pki/ssh-key.ts';
import { str, WireError } from '../pki/wire.ts';
import type { Preamble, PreambleProof } from './proxy-preamble.ts';

/** Signatures by host keys for other purposes begin differently: with a hash, or a session id. */
const PURPOSE = 'teleport-client-address-1';
/** Signed apart, so that a node of an earlier release believes the address all the same. */
const SESSION_PURPOSE = 'teleport-session-id-1';
const BALANCER_PURPOSE = 'teleport-client-balancer-1';

/** A number that no other connection has. */
export const newChallenge = (): string => randomBytes(16).toString('hex');

export interface Statement {
  /** From the node's banner. */
  readonly challenge: string;
  /** UUID of the node that receives it. */
  readonly hostId: string;
  readonly client: HostPort;
  /** UUID that the first session is to have; undefined: one that the node makes. */
  readonly session?: string | undefined;
  /** Of the balancer that named the client to the proxy; undefined: none did. */
  readonly balancer?: HostPort | undefined;
}

const bytesOf = ({ challenge, hostId, client }: Statement): Buffer =>
  Buffer.concat([PURPOSE, challenge, hostId, formatHostPort(client)].map(str));

const sessionBytesOf = ({ challenge, hostId }: Omit<Statement, 'client'>, session: string): Buffer =>
  Buffer.concat([SESSION_PURPOSE, challenge, hostId, session].map(str));

/** With the client, so that each is named with the other alone. */
const balancerBytesOf = ({ challenge, hostId, client }: Statement, balancer: HostPort): Buffer =>
  Buffer.concat(
    [BALANCER_PURPOSE, challenge, hostId, formatHostPort(client), formatHostPort(balancer)].map(str),
  );

/** A proxy that signs. */
export type SignClient = (statement: Statement) => Preamble;

/** @param certificate host certificate of a proxy, as SSH writes it, over `privateKey`. */
export function clientSigner(privateKey: KeyObject, certificate: Buffer): SignClient {
  const [algorithm] = sigAlgsOf(publicKeyOf(privateKey).type);
  return (statement) => ({
    client: statement.client,
    proof: {
      certificate,
      signature: signSsh(privateKey, algorithm, bytesOf(statement)),
      ...(statement.session !== undefined && {
        session: {
          id: statement.session,
          signature: signSsh(privateKey, algorithm, sessionBytesOf(statement, statement.session)),
        },
      }),
      ...(statement.balancer !== undefined && {
        balancer: {
          address: statement.balancer,
          signature: signSsh(privateKey, algorithm, balancerBytesOf(statement, statement.balancer)),
        },
      }),
    },
  });
}

export interface ProxyPolicy {
  /** Public key blobs of the host authorities that are trusted now. */
  readonly hostAuthorities: Iterable<Buffer>;
  readonly clusterName: string;
  /** Seconds since 1970. */
  readonly now: bigint;
  /** Whether this host id is a proxy of the cluster now. */
  readonly isProxy: (hostId: string) => boolean;
}

/**
 * Why a preamble with a proof is not believed; undefined when it is.
 * @param told the challenge of this node on this connection, and its own host id.
 */
export function doubtAbout(
  { client, proof }: Preamble,
  told: Pick<Statement, 'challenge' | 'hostId'>,
  policy: ProxyPolicy,
): string | undefined {
  if (proof === undefined) return 'it is not signed';
  let certificate: Certificate;
  try {
    certificate = parseCertificate(proof.certificate);
    const { hostFqdn, role, clusterName } = hostIdentityOf(certificate);
    if (clusterName !== policy.clusterName) return 'it is signed by a host of another cluster';
    checkCertificate(certificate, {
      kind: 'host',
      cas: policy.hostAuthorities,
      principals: [hostFqdn],
      now: policy.now,
    });
    if (role !== 'Proxy') return `it is signed by a host in role ${JSON.stringify(role.slice(0, 64))}`;
    const suffix = `.${policy.clusterName}`;
    if (!hostFqdn.endsWith(suffix) || !policy.isProxy(hostFqdn.slice(0, -suffix.length)))
      return 'it is signed by a host that this node does not know as a proxy of the cluster';
  } catch (e) {
    // Besides our own errors, also those of node:crypto for a point that is not on its curve.
    if (e instanceof CertError || e instanceof WireError || isCoded(e))
      return `its certificate: ${messageOf(e)}`;
    return 'its certificate is malformed';
  }
  if (!verifySsh(certificate.key, bytesOf({ ...told, client }), proof.signature))
    return 'it is signed for another connection, another node or another address';
  return (
    doubtAboutBalancer(proof.balancer, certificate, { ...told, client }) ??
    doubtAboutSession(proof.session, certificate, told)
  );
}

const doubtAboutBalancer = (
  balancer: PreambleProof['balancer'],
  { key }: Certificate,
  statement: Statement,
): string | undefined =>
  balancer === undefined || verifySsh(key, balancerBytesOf(statement, balancer.address), balancer.signature)
    ? undefined
    : 'its balancer is signed for another connection, another client or another balancer';

const doubtAboutSession = (
  session: PreambleProof['session'],
  { key }: Certificate,
  told: Pick<Statement, 'challenge' | 'hostId'>,
): string | undefined =>
  session === undefined || verifySsh(key, sessionBytesOf(told, session.id), session.signature)
    ? undefined
    : 'the id of its session is signed for another connection, or for another id';
