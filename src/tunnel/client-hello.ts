/*
 * What the first bytes of a TLS connection say, without answering them. Source: RFC 8446, 4.1.2 and 5.1;
 * RFC 6066, 3 (server_name); RFC 7301, 3.1 (ALPN).
 */

export interface ClientHello {
  /** Lower case; undefined when none is named. */
  readonly serverName: string | undefined;
  readonly protocols: readonly string[];
}

export type HelloReading =
  | { readonly status: 'whole'; readonly hello: ClientHello }
  /** It may still become one. */
  | { readonly status: 'incomplete' }
  /** Not TLS, or in a form that no client of ours sends; a TLS server may still understand it. */
  | { readonly status: 'other' };

/** Records and messages begin with these. */
const handshakeRecord = 0x16;
const clientHello = 1;
const recordHeader = 5;
const mostRecord = 2 ** 14;
/** With keys that are safe from quantum computers about 2 KiB. */
const mostHello = 16 * 1024;
const messageHeader = 4;
/**
 * Over more records nobody spreads it but to make us work: whatever has come is looked at again with each
 * segment, before we know who sends it.
 */
const mostRecords = 16;

const other: HelloReading = { status: 'other' };
const incomplete: HelloReading = { status: 'incomplete' };

/** Reads a ClientHello off the first bytes of a connection. Total, and pure. */
export function readClientHello(first: Buffer): HelloReading {
  const message = handshakeMessage(first);
  if (!Buffer.isBuffer(message)) return message;
  const reader = new Reader(message);
  reader.skip(2 + 32); // version, random
  reader.vector(1); // session id
  reader.vector(2); // cipher suites
  reader.vector(1); // compression
  const extensions = reader.isAtEnd() ? new Reader(Buffer.alloc(0)) : reader.vector(2);
  let serverName: string | undefined;
  let protocols: readonly string[] = [];
  while (!extensions.isAtEnd()) {
    const type = extensions.uint(2);
    const body = extensions.vector(2);
    if (type === 0) serverName = serverNameIn(body);
    if (type === 16) protocols = protocolsIn(body);
    if (body.failed) return other;
  }
  if (reader.failed || extensions.failed) return other;
  return { status: 'whole', hello: { serverName, protocols } };
}

/** The body of the first handshake message, which may be spread over several records. */
function handshakeMessage(first: Buffer): Buffer | HelloReading {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let at = 0; parts.length < mostRecords;) {
    const length = recordAt(first, at);
    if (typeof length !== 'number') return length;
    const part = first.subarray(at + recordHeader, at + recordHeader + length);
    parts.push(part);
    bytes += part.length;
    // Few parts, so that they are cheap to put together each time.
    const message = wholeMessage(Buffer.concat(parts, bytes));
    if (Buffer.isBuffer(message) || message.status === 'other') return message;
    if (part.length < length) return incomplete;
    at += recordHeader + length;
  }
  return other;
}

/** How long the part is that the record here carries. */
function recordAt(first: Buffer, at: number): number | HelloReading {
  if (first.length > at && first[at] !== handshakeRecord) return other;
  if (first.length < at + recordHeader) return incomplete;
  const length = first.readUInt16BE(at + 3);
  return first[at + 1] !== 3 || length === 0 || length > mostRecord ? other : length;
}

function wholeMessage(sofar: Buffer): Buffer | HelloReading {
  if (sofar.length > 0 && sofar[0] !== clientHello) return other;
  if (sofar.length < messageHeader) return incomplete;
  const wanted = sofar.readUIntBE(1, 3);
  if (wanted > mostHello) return other;
  return sofar.length < messageHeader + wanted
    ? incomplete
    : sofar.subarray(messageHeader, messageHeader + wanted);
}

function serverNameIn(body: Reader): string | undefined {
  const list = body.vector(2);
  while (!list.isAtEnd()) {
    const type = list.uint(1);
    const name = list.vector(2).rest();
    if (type === 0 && !list.failed) return name.toString('latin1').toLowerCase();
  }
  if (list.failed) body.fail();
  return undefined;
}

function protocolsIn(body: Reader): readonly string[] {
  const list = body.vector(2);
  const protocols: string[] = [];
  while (!list.isAtEnd()) protocols.push(list.vector(1).rest().toString('latin1'));
  if (list.failed) body.fail();
  return protocols;
}

/** Reads big endian numbers and counted vectors. What is too short reads as nothing, and is remembered. */
class Reader {
  failed = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  isAtEnd(): boolean {
    return this.failed || this.#at >= this.#bytes.length;
  }

  fail(): void {
    this.failed = true;
  }

  skip(count: number): void {
    if (this.#at + count > this.#bytes.length) this.failed = true;
    else this.#at += count;
  }

  uint(size: 1 | 2): number {
    const from = this.#at;
    this.skip(size);
    return this.failed ? 0 : this.#bytes.readUIntBE(from, size);
  }

  /** With its length in `size` bytes before it. */
  vector(size: 1 | 2): Reader {
    const length = this.uint(size);
    const from = this.#at;
    this.skip(length);
    const part = new Reader(this.failed ? Buffer.alloc(0) : this.#bytes.subarray(from, from + length));
    part.failed = this.failed;
    return part;
  }

  rest(): Buffer {
    return this.failed ? Buffer.alloc(0) : this.#bytes.subarray(this.#at);
  }
}
