/**
 * The only file, besides `ssh2-library.ts` and the packet layer it installs, that touches private parts of
 * ssh2. Everything is per connection, except for two lists of names that are extended. If ssh2 changes shape,
 * `protoOf` throws or a hook does not apply any more: then logins and handshakes fail. Nothing here can make
 * one succeed that should not.
 * Reviewed against ssh2 1.17.0, which is pinned exactly; run integration/ssh/ssh-interop.test.ts on every
 * change.
 */
import type { Duplex } from 'node:stream';
import type { ParsedKey } from 'ssh2';
import { str, u32 } from '../pki/wire.ts';
import { isConnectionMessage } from './connection-messages.ts';
import { PacketError } from './packet-frame.ts';
import { PacketReceiver, PacketSender } from './packet-layer.ts';
import { writeDisconnect, type PacketProtocol } from './packet-protocol.ts';
import { ssh2, ssh2Part } from './ssh2-library.ts';

const { SUPPORTED_SERVER_HOST_KEY, SUPPORTED_KEX } = ssh2Part('constants') as Record<
  'SUPPORTED_SERVER_HOST_KEY' | 'SUPPORTED_KEX',
  string[]
>;
const utils = ssh2Part('utils') as {
  sendPacket: (protocol: Protocol, packet: Buffer, bypass?: boolean) => boolean;
};

/** One key exchange. */
export interface KeyExchange {
  /** `serverHostKey` is compared with the host's key and written into what the host signs. */
  readonly negotiated: { serverHostKey: string };
  readonly sessionID?: Buffer;
}

/** The parts of it that make the secret. */
export interface ExchangeOfSecrets extends KeyExchange {
  readonly negotiated: { serverHostKey: string; kex: string };
  /** The peer's KEXINIT, as it will be hashed. */
  _remoteKexinit: Buffer | undefined;
  /** Our message. On a server called after `computeSecret`. */
  getPublicKey: () => Buffer;
  /** The peer's message, as it will be hashed. */
  convertPublicKey: (sent: Buffer) => Buffer;
  /** The peer's message in the form that is hashed as a string. */
  computeSecret: (sent: Buffer) => Buffer | Error;
}

/** The transport of one connection, with the parts we rely on. */
export interface Protocol extends PacketProtocol {
  _kex: KeyExchange | undefined;
  _kexinit: Buffer | undefined;
  _hostKeys: Record<string, ParsedKey> | undefined;
  _remoteIdentRaw: Buffer | undefined;
  /** Ours, as key exchanges sign over it. */
  _identRaw: Buffer;
  readonly _authsQueue: string[];
  readonly _server: boolean;
  readonly _offer: { readonly lists: { readonly kex: { readonly array: readonly string[] } } };
  _onPayload: (payload: Buffer) => number | undefined;
  readonly _packetRW: {
    /** Every payload passes through it before it is handled. Replaced with each exchange of keys. */
    read: { read: (payload: Buffer) => Buffer };
    readonly write: {
      readonly allocStart: number;
      readonly allocStartKEX: number;
      readonly alloc: (size: number, force?: boolean) => Buffer;
      readonly finalize: (packet: Buffer, force?: boolean) => Buffer;
    };
  };
  readonly cleanup: () => void;
  rekey: () => void;
}

/** Our packet layer is in front of it, and none of ssh2's own: see ssh2-library.ts. */
const hasOurPackets = (p: Partial<Protocol>): boolean =>
  p._cipher instanceof PacketSender &&
  (p._decipher === undefined || p._decipher instanceof PacketReceiver) &&
  typeof p.loggedIn === 'function';

function looksRight(p: Partial<Protocol> | undefined): p is Protocol {
  if (p === undefined) return false;
  const fields = [
    '_kex',
    '_kexinit',
    '_hostKeys',
    '_remoteIdentRaw',
    '_identRaw',
    '_destruct',
    '_server',
  ] as const;
  const { read, write } = p._packetRW ?? {};
  const lists = [p._authsQueue, p._offer?.lists.kex.array, SUPPORTED_SERVER_HOST_KEY, SUPPORTED_KEX];
  const functions = [p._onPayload, p.cleanup, p.rekey, read?.read, write?.alloc, write?.finalize];
  return (
    hasOurPackets(p) &&
    fields.every((field) => field in p) &&
    lists.every((list) => Array.isArray(list)) &&
    [...functions, utils.sendPacket].every((f) => typeof f === 'function')
  );
}

/**
 * The transport of an ssh2 client or server connection. @throws Error when ssh2 is not the version we know.
 */
export function protoOf(connection: object): Protocol {
  const p = (connection as { _protocol?: Partial<Protocol> })._protocol;
  if (!looksRight(p)) throw new Error('this version of ssh2 is not the one that was reviewed');
  return p;
}

/** The socket under a connection of an ssh2 server. */
export function socketOf(connection: object): Duplex {
  const { _sock: socket } = connection as { _sock?: Duplex };
  if (socket === undefined) throw new Error('this version of ssh2 is not the one that was reviewed');
  return socket;
}

/** What the peer announced, such as SSH-2.0-OpenSSH_9.2; only printable characters, at most 255. */
export const peerBannerOf = (p: Protocol): string =>
  (p._remoteIdentRaw?.toString('latin1') ?? '').replace(/[^\x20-\x7e]/g, '?').slice(0, 255);

/**
 * Makes every key exchange sign over `banner`, as it was sent to the peer, without the line end. To be called
 * before the first.
 */
export function exchangeUnderBanner(p: Protocol, banner: string): void {
  p._identRaw = Buffer.from(banner, 'latin1');
}

/** Permits these algorithms to be configured. Does not change the defaults. */
export function allowAlgorithms(names: {
  readonly hostKeys?: readonly string[];
  readonly keyExchanges?: readonly string[];
}): void {
  const widen = (list: string[], more: readonly string[] = []): void => {
    for (const name of more) if (!list.includes(name)) list.push(name);
  };
  widen(SUPPORTED_SERVER_HOST_KEY, names.hostKeys);
  widen(SUPPORTED_KEX, names.keyExchanges);
}

/** A genuine parsed key from which disguised ones are made. Parsing is expensive: keep it. */
export function parseDonor(plainPublicBlob: Buffer): ParsedKey {
  const donor = ssh2.parseKey(plainPublicBlob);
  if (donor instanceof Error) throw donor;
  return donor;
}

export interface KeyDisguise {
  /** Algorithm name on the wire. */
  readonly type: string;
  /** What is presented: a certificate or the plain key. */
  readonly publicBlob: Buffer;
  /** Returns the raw signature value. Absent: the key cannot sign by itself. */
  readonly sign?: (data: Buffer) => Buffer | Error;
}

/**
 * A "parsed key" in the form that ssh2 expects. ssh2 only checks whether a hidden symbol of the object holds
 * a boolean, and follows the prototype for it; so inheriting from a genuine key is enough.
 */
export function disguisedKey(donor: ParsedKey, as: KeyDisguise): ParsedKey {
  const property = (value: unknown): PropertyDescriptor => ({
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  });
  return Object.create(donor, {
    type: property(as.type),
    getPublicSSH: property(() => as.publicBlob),
    isPrivateKey: property(() => as.sign !== undefined),
    getPrivatePEM: property(() => (as.sign ? 'kept elsewhere' : null)), // only ever compared with null
    sign: property((data: Buffer) => as.sign?.(data) ?? new Error('no private key')),
    equals: property((other: ParsedKey) => other.getPublicSSH().equals(as.publicBlob)),
  }) as ParsedKey;
}

const observers = new WeakMap<Protocol, ((kex: ExchangeOfSecrets) => void)[]>();

/**
 * Calls `observe` for every key exchange, the first and each rekey, right after the negotiation, in the order
 * of the calls to this function.
 */
export function onEachKeyExchange(p: Protocol, observe: (kex: ExchangeOfSecrets) => void): void {
  const known = observers.get(p);
  if (known !== undefined) {
    known.push(observe);
    return;
  }
  const all = [observe];
  observers.set(p, all);
  let current = p._kex;
  Object.defineProperty(p, '_kex', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set: (kex: ExchangeOfSecrets | undefined) => {
      current = kex;
      if (kex) for (const one of all) one(kex);
    },
  });
}

/** Passes every incoming payload through `change`, before anything else handles it. */
export function onEachPayload(p: Protocol, change: (payload: Buffer) => Buffer): void {
  const rw = p._packetRW;
  let reader = rw.read;
  const hook = (): void => {
    const read = reader.read.bind(reader);
    reader.read = (payload) => change(read(payload));
  };
  hook();
  Object.defineProperty(rw, 'read', {
    configurable: true,
    enumerable: true,
    get: () => reader,
    set: (next: typeof reader) => {
      reader = next;
      hook();
    },
  });
}

/**
 * Labels the exchange signature `name` instead of the negotiated (certificate) algorithm. Call it from `sign`
 * of a host key: the reply is built in the same turn, and afterwards the negotiated name is put back.
 */
export function labelHostSignature(p: Protocol, name: string): void {
  const negotiated = p._kex?.negotiated;
  if (negotiated === undefined) throw new Error('no key exchange to sign');
  const before = negotiated.serverHostKey;
  negotiated.serverHostKey = name;
  queueMicrotask(() => {
    negotiated.serverHostKey = before;
  });
}

/**
 * Makes ssh2 check the exchange signature with `plainKeyBlob` while it hashes `shown`, the certificate, as
 * the host key. `shown` must be the very Buffer that ssh2 gave to its host verifier.
 */
export function verifyExchangeWith(
  kex: KeyExchange,
  shown: Buffer,
  plainKeyBlob: Buffer,
  algorithm: string,
): void {
  kex.negotiated.serverHostKey = algorithm;
  // ssh2 reads the type with utf8Slice and the fields with slice; its hash reads the bytes, which stay.
  const typeLength = plainKeyBlob.readUInt32BE(0);
  const type = plainKeyBlob.toString('latin1', 4, 4 + typeLength);
  const fields = plainKeyBlob.subarray(4 + typeLength);
  Object.defineProperty(shown, 'utf8Slice', { value: () => type });
  Object.defineProperty(shown, 'slice', { value: () => fields });
}

/** Sends one message. Ignored once the connection is torn down. */
export function sendPayload(p: Protocol, header: Buffer, body?: Buffer): void {
  if (p._destruct === undefined) return;
  const { write } = p._packetRW;
  const at = write.allocStart;
  const packet = write.alloc(header.length + (body?.length ?? 0));
  packet.set(header, at);
  if (body !== undefined) packet.set(body, at + header.length);
  utils.sendPacket(p, write.finalize(packet));
}

/** DISCONNECT with a text. Goes out at once, also during a key exchange. Source: RFC 4253, 11.1. */
export function sendDisconnect(p: Protocol, reason: number, text: string): void {
  if (p._destruct === undefined) return;
  writeDisconnect(p, reason, text);
}

/** True from our KEXINIT until the new keys are used: only key exchange messages may go out. */
export const isExchangingKeys = (p: Protocol): boolean => p._kexinit !== undefined;

/** Makes ssh2 stop reading a connection that `receive` found broken. */
const STOP = Infinity;

/**
 * Passes the messages of the connection protocol to `receive` instead of ssh2. `receive` returns false when
 * the peer broke the rules and the connection is being closed. Call it before the first key exchange.
 */
export function takeConnectionMessages(p: Protocol, receive: (payload: Buffer) => boolean): void {
  const others = p._onPayload;
  p._onPayload = (payload) => {
    const type = payload[0];
    if (type === undefined || !isConnectionMessage(type)) return others(payload);
    return receive(payload) ? undefined : STOP;
  };
}

/** DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, and EXT_INFO, which servers send right behind their NEWKEYS. */
const alwaysWelcome = new Set([1, 2, 3, 4, 7]);

/**
 * Accepts nothing that matters from a server until `isTrusted`. ssh2 handles messages under the new keys
 * while its host verifier is still deciding: an unknown server could report that the login succeeded, and
 * would be sent, unencrypted, data meant for a trusted one. Call it before the first key exchange.
 */
export function refuseBeforeTrust(p: Protocol, isTrusted: () => boolean): void {
  const others = p._onPayload;
  p._onPayload = (payload) => {
    if (!isTrusted() && !alwaysWelcome.has(payload[0] ?? 0))
      throw new PacketError('the host went on before it was trusted');
    return others(payload);
  };
}

/** Calls `tell` with the text of the peer's DISCONNECT, which ssh2 drops when it is a friendly one. */
export function onDisconnectText(p: Protocol, tell: (text: string) => void): void {
  const others = p._onPayload;
  p._onPayload = (payload) => {
    if (payload[0] === 1 && payload.length >= 9)
      tell(payload.toString('utf8', 9, 9 + payload.readUInt32BE(5)));
    return others(payload);
  };
}

/**
 * Replaces the list of signature algorithms that a server announces (ssh2's own is misspelt and names SHA-1).
 * Returns a function to call when the first handshake is complete.
 * Source: RFC 8308, 3.1.
 */
export function announceSignatureAlgorithms(p: Protocol, names: readonly string[]): () => void {
  let wanted = false;
  let first = true;
  onEachKeyExchange(p, (kex) => {
    if (!first) return;
    first = false;
    Object.defineProperty(kex, 'remoteExtInfoEnabled', {
      configurable: true,
      get: () => false,
      set: (enabled: boolean) => {
        wanted = enabled;
      },
    });
  });
  return () => {
    if (wanted)
      sendPayload(p, Buffer.concat([Buffer.of(7), u32(1), str('server-sig-algs'), str(names.join(','))]));
    wanted = false;
  };
}

/**
 * Sends the signed half of a publickey login. `signed` is what ssh2 passes to signers: session id and
 * request. ssh2 itself would name the certificate algorithm in the signature, where the plain one belongs.
 */
export function sendSignedLogin(p: Protocol, signed: Buffer, signature: Buffer): void {
  const sessionId = p._kex?.sessionID;
  if (sessionId === undefined || !signed.subarray(4, 4 + sessionId.length).equals(sessionId))
    throw new Error('the login is for another connection');
  p._authsQueue.push('publickey');
  sendPayload(p, signed.subarray(4 + sessionId.length), str(signature));
}
