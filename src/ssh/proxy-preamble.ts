/**
 * The preamble with which a proxy names the true client to a node: written after the node's banner and before
 * the first byte of the client, `Teleport-Proxy{"clientAddr":"1.2.3.4:5678"}` and a zero byte. It may also
 * contain `certificate` and `signature` (base64), and with these `session` and `sessionSignature`, and
 * `balancerAddr` and `balancerSignature`: see signed-client.ts.
 *
 * Anyone who can reach the port can write one. So a preamble is always removed from the stream, but believed
 * only when it is signed by a proxy for this very connection; otherwise it is kept as a claim, for the audit.
 */
import type { Duplex } from 'node:stream';
import { ipAndPort } from '../base/addresses.ts';
import { CodedError } from '../base/errors.ts';
import { beginsWithHeader } from '../base/proxy-protocol.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';

const MARK = Buffer.from('Teleport-Proxy');
/** With a certificate of the largest key, for a machine of many names. */
const MAX_BYTES = 16 * 1024;

/** Proves who vouches for the address. */
export interface PreambleProof {
  /** Host certificate of the proxy, as SSH writes it. */
  readonly certificate: Buffer;
  readonly signature: Buffer;
  /** The UUID that the first session is to have. */
  readonly session?: { readonly id: string; readonly signature: Buffer };
  /** The balancer that named the client to the proxy: an IP address and a port. */
  readonly balancer?: { readonly address: HostPort; readonly signature: Buffer };
}

export interface Preamble {
  /** An IP address and a port. */
  readonly client: HostPort;
  /** Undefined: anybody could have written it. */
  readonly proof: PreambleProof | undefined;
}

/** The bytes of a preamble. */
export function proxyPreamble({ client, proof }: Preamble): Buffer {
  const fields = {
    clientAddr: formatHostPort(client),
    ...(proof !== undefined && {
      certificate: proof.certificate.toString('base64'),
      signature: proof.signature.toString('base64'),
      ...(proof.session !== undefined && {
        session: proof.session.id,
        sessionSignature: proof.session.signature.toString('base64'),
      }),
      ...(proof.balancer !== undefined && {
        balancerAddr: formatHostPort(proof.balancer.address),
        balancerSignature: proof.balancer.signature.toString('base64'),
      }),
    }),
  };
  return Buffer.concat([MARK, Buffer.from(JSON.stringify(fields)), Buffer.of(0)]);
}

export type PreambleReading =
  /** The stream begins with something else. */
  | { readonly status: 'absent' }
  /** It may still become one. */
  | { readonly status: 'incomplete' }
  | { readonly status: 'found'; readonly preamble: Preamble; readonly bytes: number }
  | { readonly status: 'malformed'; readonly reason: string };

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function readBytes(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.toString('base64') === text ? bytes : undefined;
}

/** Undefined: malformed. */
function readBody(body: Buffer): Preamble | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined; // reported as "malformed" by the caller
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  const client = ipAndPort(fields.get('clientAddr'));
  if (client === undefined) return undefined;
  if (!fields.has('certificate') && !fields.has('signature')) return { client, proof: undefined };
  const proof = readProof(fields);
  return proof && { client, proof };
}

function readProof(fields: ReadonlyMap<string, unknown>): PreambleProof | undefined {
  const certificate = readBytes(fields.get('certificate'));
  const signature = readBytes(fields.get('signature'));
  if (certificate === undefined || signature === undefined) return undefined;
  const [session, balancer] = [readSession(fields), readBalancer(fields)];
  if (session === 'malformed' || balancer === 'malformed') return undefined;
  return { certificate, signature, ...(session && { session }), ...(balancer && { balancer }) };
}

function readSession(fields: ReadonlyMap<string, unknown>): PreambleProof['session'] | 'malformed' {
  if (!fields.has('session') && !fields.has('sessionSignature')) return undefined;
  const [id, signature] = [fields.get('session'), readBytes(fields.get('sessionSignature'))];
  if (typeof id !== 'string' || !uuidForm.test(id) || signature === undefined) return 'malformed';
  return { id, signature };
}

function readBalancer(fields: ReadonlyMap<string, unknown>): PreambleProof['balancer'] | 'malformed' {
  if (!fields.has('balancerAddr') && !fields.has('balancerSignature')) return undefined;
  const address = ipAndPort(fields.get('balancerAddr'));
  const signature = readBytes(fields.get('balancerSignature'));
  return address === undefined || signature === undefined ? 'malformed' : { address, signature };
}

/** Reads a preamble off the first bytes of a stream. Pure. */
export function parsePreamble(first: Buffer): PreambleReading {
  const known = Math.min(first.length, MARK.length);
  if (!first.subarray(0, known).equals(MARK.subarray(0, known))) return { status: 'absent' };
  const end = first.subarray(0, MAX_BYTES).indexOf(0);
  if (end < 0)
    return first.length < MAX_BYTES
      ? { status: 'incomplete' }
      : { status: 'malformed', reason: 'preamble too long' };
  const preamble = readBody(first.subarray(MARK.length, end));
  return preamble === undefined
    ? { status: 'malformed', reason: 'preamble without a client address, or with half a proof' }
    : { status: 'found', preamble, bytes: end + 1 };
}

/** The stream begins with a PROXY header: one of a balancer that may send it was taken off before. */
export class UnexpectedHeader extends CodedError {
  constructor() {
    super('access_denied', 'it begins with a header of the PROXY protocol, which nothing expects from it');
  }
}

/**
 * Waits for the first bytes of `socket`, removes a preamble, and puts the rest back. Resolves to its content,
 * or undefined without one. The socket is left paused. Send the banner before: the other side waits for it.
 * @throws CodedError `bad_request` for a malformed preamble; `unavailable` when the socket ends first;
 *   `UnexpectedHeader`.
 */
export function readProxyPreamble(socket: Duplex): Promise<Preamble | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Preamble | undefined>();
  let first: Buffer = Buffer.alloc(0);
  const leave = (act: () => void): void => {
    socket.pause();
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onEnd);
    act();
  };
  const onEnd = (): void => {
    leave(() => {
      reject(new CodedError('unavailable', 'the connection ended before it began'));
    });
  };
  const onData = (chunk: Buffer): void => {
    first = Buffer.concat([first, chunk]);
    const reading = parsePreamble(first);
    const isHeader = beginsWithHeader(first);
    if (reading.status === 'incomplete' || isHeader === undefined) return;
    leave(() => {
      if (isHeader) {
        reject(new UnexpectedHeader());
        return;
      }
      if (reading.status === 'malformed') {
        reject(new CodedError('bad_request', reading.reason));
        return;
      }
      const rest = reading.status === 'found' ? first.subarray(reading.bytes) : first;
      if (rest.length > 0) socket.unshift(rest);
      resolve(reading.status === 'found' ? reading.preamble : undefined);
    });
  };
  socket.on('data', onData).once('end', onEnd).once('close', onEnd).once('error', onEnd);
  if (socket.destroyed || socket.readableEnded) onEnd();
  return promise;
}
