/*
 * What a proxy says to an auth server before the connection of a machine that it passes on: from where that
 * machine comes. `Teleport-Relay`, JSON with `client`, `at`, `certificate` (PEM) and `signature` (base64),
 * and a zero byte. It is signed with the key of the proxy's own certificate: without it every machine
 * behind a proxy would have the proxy's address, in limits, in the audit, and among the names that a
 * machine may have.
 */
import { X509Certificate } from 'node:crypto';
import { ipAndPort } from '../base/addresses.ts';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { type Instant, minute, msBetween } from '../base/time.ts';
import { issuedBy } from './issued-by.ts';
import { privateKeyFromPem } from './key-pair.ts';
import { publicKeyOf, sigAlgsOf, signSsh, verifySsh } from './ssh-key.ts';
import { tlsIdentityOf } from './tls-identity.ts';
import { str } from './wire.ts';

const mark = Buffer.from('Teleport-Relay');
const mostBytes = 16 * 1024;
/** Signatures by the same key for other purposes begin differently. */
const purpose = 'teleport-relayed-client-1';
/** How far the clocks of two machines may be apart. */
const tolerance = minute;

interface Statement {
  readonly client: HostPort;
  readonly at: Instant;
}

const bytesOf = ({ client, at }: Statement): Buffer =>
  Buffer.concat([purpose, at, formatHostPort(client)].map(str));

/** Of a proxy with this key and certificate (PEM). */
export function relayStatement(
  said: Statement,
  proof: { readonly privateKeyPem: string; readonly tlsCertificatePem: string },
): Buffer {
  const key = privateKeyFromPem(proof.privateKeyPem);
  const [algorithm] = sigAlgsOf(publicKeyOf(key).type);
  const fields = {
    client: formatHostPort(said.client),
    at: said.at,
    certificate: proof.tlsCertificatePem,
    signature: signSsh(key, algorithm, bytesOf(said)).toString('base64'),
  };
  return Buffer.concat([mark, Buffer.from(JSON.stringify(fields)), Buffer.of(0)]);
}

export interface ReadStatement extends Statement {
  readonly certificate: X509Certificate;
  readonly signature: Buffer;
}

export type StatementReading =
  /** The connection begins with something else. */
  | { readonly status: 'absent' }
  /** It may still become one. */
  | { readonly status: 'incomplete' }
  | { readonly status: 'malformed' }
  | { readonly status: 'found'; readonly said: ReadStatement; readonly bytes: number };

/** Reads a statement off the first bytes of a connection. Total, and pure. */
export function readRelayStatement(first: Buffer): StatementReading {
  const known = Math.min(first.length, mark.length);
  if (!first.subarray(0, known).equals(mark.subarray(0, known))) return { status: 'absent' };
  const end = first.subarray(0, mostBytes).indexOf(0);
  if (end < 0) return { status: first.length < mostBytes ? 'incomplete' : 'malformed' };
  const said = fieldsIn(first.subarray(mark.length, end));
  return said === undefined ? { status: 'malformed' } : { status: 'found', said, bytes: end + 1 };
}

function fieldsIn(body: Buffer): ReadStatement | undefined {
  try {
    const { client, at, certificate, signature } = JSON.parse(body.toString('utf8')) as Record<
      string,
      unknown
    >;
    const address = ipAndPort(client);
    if (address === undefined || ![at, certificate, signature].every((one) => typeof one === 'string'))
      return undefined;
    return {
      ...{ client: address, at: at as string },
      certificate: new X509Certificate(certificate as string),
      signature: Buffer.from(signature as string, 'base64'),
    };
  } catch {
    return undefined; // reported as malformed
  }
}

/** Whom to believe. */
export interface RelayPolicy {
  readonly clusterName: string;
  /** Host authorities that are trusted now, PEM. */
  readonly authorities: readonly string[];
  readonly now: Instant;
}

/**
 * From where the machine comes. @throws CodedError `access_denied` unless a proxy of the cluster said so a
 * moment ago.
 */
export function believedClient(
  { client, at, certificate, signature }: ReadStatement,
  { clusterName, authorities, now }: RelayPolicy,
): HostPort {
  const isValid =
    certificate.validFromDate.getTime() <= Date.parse(now) &&
    Date.parse(now) < certificate.validToDate.getTime();
  const isFresh = Math.abs(msBetween(at, now)) <= tolerance;
  if (!isValid || !isFresh || !authorities.some((pem) => issuedBy(certificate, pem))) throw refused();
  const { username, groups } = tlsIdentityOf(certificate);
  if (groups.length !== 1 || groups[0] !== 'Proxy' || !username.endsWith(`.${clusterName}`)) throw refused();
  if (!verifySsh(publicKeyOf(certificate.publicKey), bytesOf({ client, at }), signature)) throw refused();
  return client;
}

const refused = (): CodedError =>
  new CodedError(
    'access_denied',
    'the address of a machine that a proxy passes on is not signed by a proxy of the cluster',
  );
