import { str } from '../pki/wire.ts';
import { hybridClient, hybridName, hybridServer, hybridSupported } from './hybrid-exchange.ts';
import {
  allowAlgorithms,
  type ExchangeOfSecrets,
  onEachKeyExchange,
  onEachPayload,
  type Protocol,
} from './ssh2-internals.ts';

const kexInit = 20;
const cookieBytes = 16;
/** The method of ssh2 that has the same shape: one message from each side, SHA-256. */
const standIn = 'curve25519-sha256';

if (hybridSupported) allowAlgorithms({ keyExchanges: [hybridName] });

/**
 * Teaches a connection the hybrid key exchange. ssh2 knows only its own methods. So where both sides agree on
 * this one, ssh2 gets a KEXINIT in which they agree on `standIn`, and in the exchange it makes for that, the
 * secret and the messages are replaced. The hash covers what was really sent. If any of that stopped working,
 * the two sides would have different secrets, and no signature would be valid. Call it before the first key
 * exchange.
 */
export function useHybridExchange(p: Protocol): void {
  if (!p._offer.lists.kex.array.includes(hybridName)) return;
  let shown: Buffer | undefined;
  onEachPayload(p, (payload) => {
    const sent = Buffer.from(payload);
    const other = withStandIn(sent, p._offer.lists.kex.array, p._server);
    if (other === undefined) return payload;
    shown = sent;
    return other;
  });
  onEachKeyExchange(p, (kex) => {
    if (shown === undefined) return;
    kex._remoteKexinit = shown;
    shown = undefined;
    kex.negotiated.kex = hybridName;
    becomeHybrid(kex, p._server);
  });
}

function becomeHybrid(kex: ExchangeOfSecrets, isServer: boolean): void {
  kex.convertPublicKey = (sent) => sent;
  if (isServer) {
    let reply: Buffer = Buffer.alloc(0);
    kex.computeSecret = caught((init) => {
      const answer = hybridServer(init);
      reply = answer.reply;
      return answer.secret;
    });
    kex.getPublicKey = () => reply;
    return;
  }
  const client = hybridClient();
  kex.getPublicKey = () => client.init;
  kex.computeSecret = caught((reply) => client.secret(reply));
}

/** ssh2 expects errors as return values. */
const caught =
  (act: (sent: Buffer) => Buffer) =>
  (sent: Buffer): Buffer | Error => {
    try {
      return act(sent);
    } catch (e) {
      return e instanceof Error ? e : new Error(String(e));
    }
  };

/**
 * The peer's KEXINIT with `standIn` for the hybrid method, when both agree on that; else undefined, as for
 * every other message. Pure. A first guess of the peer that is right stays right, and one that is wrong stays
 * wrong. Source: RFC 4253, 7.1.
 */
export function withStandIn(payload: Buffer, ours: readonly string[], isServer: boolean): Buffer | undefined {
  const at = 1 + cookieBytes;
  if (payload[0] !== kexInit || payload.length < at + 4) return undefined;
  const end = at + 4 + payload.readUInt32BE(at);
  if (end > payload.length) return undefined;
  const theirs = payload.toString('latin1', at + 4, end).split(',');
  const [client, server] = isServer ? [theirs, ours] : [ours, theirs];
  if (client.find((name) => server.includes(name)) !== hybridName) return undefined;
  const wrongGuess = theirs[0] === hybridName ? [] : ['another'];
  const list = [...wrongGuess, standIn, ...theirs.filter(isMarker)];
  return Buffer.concat([payload.subarray(0, at), str(list.join(',')), payload.subarray(end)]);
}

/** Not a method, but a capability of one side. Sources: RFC 8308, 2.1; OpenSSH's PROTOCOL, 1.10. */
const isMarker = (name: string): boolean => name.startsWith('ext-info-') || name.startsWith('kex-strict-');
