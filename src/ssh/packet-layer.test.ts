import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodePrimitives } from './node-primitives.ts';
import { bindOpenssl } from './openssl-primitives.ts';
import { servedCiphers, servedMacs, type CipherInfo, type MacInfo } from './packet-algorithms.ts';
import { maxPacketBytes, PacketError } from './packet-frame.ts';
import { ssh2Crypto, type PacketReceiver, type PacketSender } from './packet-layer.ts';
import type { PacketPrimitives } from './packet-primitives.ts';

const requireOf = createRequire(import.meta.url);
const openssl = bindOpenssl(() => requireOf('koffi') as never);
if (openssl.status !== 'loaded') throw new Error(openssl.reason);

interface Crypto {
  readonly init: Promise<void>;
  readonly NullCipher: new (seqno: number, onWrite: (data: Buffer) => void) => PacketSender;
  readonly NullDecipher: new (seqno: number, onPayload: (payload: Buffer) => unknown) => PacketReceiver;
  createCipher(config: object): PacketSender;
  createDecipher(config: object): PacketReceiver;
}
/** ssh2's own, in JavaScript: what it did before there was ours. */
const theirs = requireOf('ssh2/lib/protocol/crypto.js') as Crypto;
const ours = (primitives: PacketPrimitives): Crypto => ssh2Crypto(() => primitives) as Crypto;
const backEnds: readonly (readonly [string, PacketPrimitives])[] = [
  ['OpenSSL', openssl.primitives],
  ['node:crypto', nodePrimitives],
];

interface Suite {
  readonly cipher: CipherInfo;
  readonly mac: MacInfo | undefined;
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly macKey: Buffer | undefined;
}
const suites = Object.entries(servedCiphers).flatMap(([name, cipher]) =>
  (cipher.authLen > 0 ? [undefined] : Object.entries(servedMacs)).map(
    (mac): readonly [string, () => Suite] => [
      mac === undefined ? name : `${name} with ${mac[0]}`,
      () => ({
        cipher,
        key: randomBytes(cipher.keyLen),
        iv: randomBytes(cipher.ivLen),
        mac: mac?.[1],
        macKey: mac === undefined ? undefined : randomBytes(mac[1].len),
      }),
    ],
  ),
);
const cases = backEnds.flatMap(([backEnd, primitives]) =>
  suites.map(([name, suite]) => [name, backEnd, primitives, suite] as const),
);

const sender = (c: Crypto, s: Suite, seqno: number, onWrite: (data: Buffer) => void): PacketSender =>
  c.createCipher({
    outbound: {
      ...{ onWrite, seqno, cipherInfo: s.cipher, cipherKey: Buffer.from(s.key), cipherIV: Buffer.from(s.iv) },
      ...{ macInfo: s.mac, macKey: s.macKey, forceNative: true },
    },
  });
const receiver = (c: Crypto, s: Suite, seqno: number, onPayload: (p: Buffer) => unknown): PacketReceiver =>
  c.createDecipher({
    inbound: {
      ...{ onPayload, seqno, decipherInfo: s.cipher, decipherKey: Buffer.from(s.key) },
      ...{ decipherIV: Buffer.from(s.iv), macInfo: s.mac, macKey: s.macKey, forceNative: true },
    },
  });

/** The bytes on the wire of `payloads`. */
function sealed(c: Crypto, s: Suite, payloads: readonly Buffer[], seqno = 3): Buffer {
  const wire: Buffer[] = [];
  const out = sender(c, s, seqno, (data) => wire.push(Buffer.from(data)));
  for (const payload of payloads) {
    const packet = out.allocPacket(payload.length);
    packet.set(payload, 5);
    out.encrypt(packet);
  }
  out.free();
  return Buffer.concat(wire);
}

/** Feeds `wire`, cut at `cuts`. The error stands for itself. */
function opened(
  r: (onPayload: (p: Buffer) => unknown) => PacketReceiver,
  wire: Buffer,
  cuts: readonly number[],
) {
  const payloads: string[] = [];
  const one = r((payload) => {
    payloads.push(payload.toString('hex'));
  });
  const copy = Buffer.from(wire); // it is opened in place
  let error: string | undefined;
  let at = 0;
  for (const cut of [...new Set([...cuts.filter((c) => c < copy.length), copy.length])].sort(
    (a, b) => a - b,
  )) {
    const chunk = Buffer.from(copy.subarray(at, cut));
    at = cut;
    try {
      one.decrypt(chunk, 0, chunk.length);
    } catch (e) {
      if (!(e instanceof PacketError)) throw e;
      error = e.message;
      break;
    }
  }
  one.free();
  return { payloads, error };
}

const messages = [1, 2, 5, 11, 12, 13, 27, 28, 100, 1000, 32_768].map((n) => randomBytes(n));
const hex = (all: readonly Buffer[]): string[] => all.map((one) => one.toString('hex'));
const cutting = fc.array(fc.nat(400), { maxLength: 40 });

beforeAll(() => theirs.init);

describe.each(cases)('%s by %s', (_name, _backEnd, primitives, make) => {
  const c = ours(primitives);
  const near = 2 ** 32 - 4; // the sequence number wraps on the way

  it("seals what ssh2's own opens", () => {
    const suite = make();
    const wire = sealed(c, suite, messages, near);
    const got: Buffer[] = [];
    receiver(theirs, suite, near, (payload) => {
      got.push(Buffer.from(payload));
    }).decrypt(wire, 0, wire.length);
    expect(hex(got)).toEqual(hex(messages));
  });

  it("opens what ssh2's own seals", () => {
    const suite = make();
    const wire = sealed(theirs, suite, messages, near);
    expect(opened((f) => receiver(c, suite, near, f), wire, [])).toEqual({
      payloads: hex(messages),
      error: undefined,
    });
  });

  it('seals byte for byte what the other back end seals', () => {
    const suite = make();
    const [first, second] = backEnds.map(([, p]) => {
      const wire: Buffer[] = [];
      const one = sender(ours(p), suite, 7, (data) => wire.push(data));
      for (const n of [1, 40, 3000]) {
        const packet = one.allocPacket(n);
        packet.fill(n, 5, packet.length); // payload and padding alike
        one.encrypt(packet);
      }
      return Buffer.concat(wire).toString('hex');
    });
    expect(first).toBe(second);
  });

  it('opens the same packets however the bytes come', () => {
    const suite = make();
    const wire = sealed(c, suite, messages.slice(0, 9));
    const whole = { payloads: hex(messages.slice(0, 9)), error: undefined };
    fc.assert(
      fc.property(cutting, (cuts) => {
        expect(opened((f) => receiver(c, suite, 3, f), wire, cuts)).toEqual(whole);
      }),
      { numRuns: 60 },
    );
    const every = Array.from({ length: wire.length }, (_, i) => i);
    expect(opened((f) => receiver(c, suite, 3, f), wire, every)).toEqual(whole);
  });

  it('refuses every change of a bit, with the packets before it unharmed, however the bytes come', () => {
    const suite = make();
    const wire = sealed(c, suite, messages.slice(0, 5));
    fc.assert(
      fc.property(fc.nat(wire.length * 8 - 1), cutting, (bit, cuts) => {
        const changed = Buffer.from(wire);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const got = opened((f) => receiver(c, suite, 3, f), changed, cuts);
        expect(got).toEqual({ ...opened((f) => receiver(c, suite, 3, f), changed, []) });
        // A length made larger, within bounds, waits for bytes that do not come.
        expect(got.payloads.length).toBeLessThan(5);
        expect(hex(messages).slice(0, got.payloads.length)).toEqual(got.payloads);
      }),
      { numRuns: 120 },
    );
  });

  it('refuses a packet that comes twice, or in another place', () => {
    const suite = make();
    const one = sealed(c, suite, messages.slice(0, 1));
    const twice = opened((f) => receiver(c, suite, 3, f), Buffer.concat([one, one, one]), []);
    expect(twice.payloads).toHaveLength(1);
    expect(twice.error).toMatch(/./);
    expect(opened((f) => receiver(c, suite, 4, f), one, []).payloads.length).toBe(
      suite.cipher.sslName.endsWith('-gcm') ? 1 : 0, // GCM counts by itself
    );
  });

  it('gives its contexts back', () => {
    const before = openssl.liveContexts();
    const suite = make();
    const out = sender(c, suite, 0, () => undefined);
    const packet = out.allocPacket(10);
    const into = receiver(c, suite, 0, () => undefined);
    expect(openssl.liveContexts() > before).toBe(primitives.name === 'openssl');
    for (const part of [out, into, out, into]) part.free();
    expect(openssl.liveContexts()).toBe(before);
    out.encrypt(packet); // a connection that has ended
    expect(into.decrypt(packet, 0, packet.length)).toBe(Infinity);
  });
});

describe('before the first keys', () => {
  const c = ours(nodePrimitives);
  const plain = (payloads: readonly Buffer[]): Buffer => {
    const wire: Buffer[] = [];
    const out = new c.NullCipher(0, (data) => wire.push(data));
    for (const payload of payloads) {
      const packet = out.allocPacket(payload.length);
      packet.set(payload, 5);
      out.encrypt(packet);
    }
    return Buffer.concat(wire);
  };
  const take = (wire: Buffer, cuts: readonly number[] = []) =>
    opened((f) => new c.NullDecipher(0, f), wire, cuts);

  it('opens the same packets, or finds the same error, however the bytes come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }),
        fc.uint8Array({ maxLength: 40 }), // what is not a packet
        cutting,
        (payloads, rest, cuts) => {
          const all = payloads.map((p) => Buffer.from(p));
          const wire = Buffer.concat([plain(all), rest]);
          const got = take(wire, cuts);
          expect(got).toEqual(take(wire));
          expect(got.payloads.slice(0, all.length)).toEqual(hex(all));
        },
      ),
      { numRuns: 300 },
    );
  });

  const claiming = (length: number, padding = 4): Buffer => {
    const head = Buffer.alloc(64);
    head.writeUInt32BE(length);
    head[4] = padding;
    return head;
  };
  it.each([
    ['2 GiB', claiming(0x7ffffff4), /claims 2147483636 bytes, at most 35000/],
    ['4 GiB', claiming(0xfffffffc), /at most 35000/],
    ['one byte too many', claiming(35_004), /at most 35000/],
    ['nothing', claiming(0), /not a whole number of blocks/],
    ['less than a block', claiming(4), /not a whole number of blocks/],
    ['half a block', claiming(16), /not a whole number of blocks/],
    ['more padding than packet', claiming(12, 12), /12 bytes of padding/],
    ['padding and no message', claiming(12, 11), /11 bytes of padding/],
    ['three bytes of padding', claiming(12, 3), /3 bytes of padding/],
    ['255 bytes of padding', claiming(12, 255), /255 bytes of padding/],
  ])('refuses a packet that claims %s, as soon as it is said', (_name, wire, why) => {
    expect(take(wire).error).toMatch(why);
    expect(take(wire.subarray(0, 16), [1, 2, 3]).error).toMatch(why);
  });

  it('takes after the login what it did not before', () => {
    const large = plain([randomBytes(200_000)]);
    expect(take(large).error).toMatch(/at most 35000/);
    const after = opened(
      (f) => {
        const one = new c.NullDecipher(0, f);
        one.maxBytes = maxPacketBytes.afterLogin;
        return one;
      },
      large,
      [10, 5000, 70_000],
    );
    expect(after).toMatchObject({ error: undefined });
  });
});

it.each(cases)(
  '%s by %s: once NEWKEYS has reset the number, nothing more goes out under the old keys',
  (...one) => {
    const [, , primitives, suite] = one;
    const wire: Buffer[] = [];
    const out = sender(ours(primitives), suite(), 0, (data) => wire.push(data));
    const send = (): void => {
      const packet = out.allocPacket(1);
      packet[5] = 21;
      out.encrypt(packet);
    };
    send();
    out.outSeqno = 0;
    send(); // under number 0 for the second time
    expect(wire).toHaveLength(1);
    expect(out.outSeqno).toBe(0); // where the next keys begin
  },
);
