import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostPort } from '../base/service.ts';
import { parsePreamble, proxyPreamble, readProxyPreamble, UnexpectedHeader } from './proxy-preamble.ts';

const unsigned = (client: HostPort): Buffer => proxyPreamble({ client, proof: undefined });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 900 }).map((array) => Buffer.from(array));
const session = fc.record({ id: fc.uuid(), signature: bytes });
const address = fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 0, max: 65535 }) });
const balancer = fc.record({ address, signature: bytes });
const proof = fc.option(
  fc.record(
    { certificate: bytes, signature: bytes, session, balancer },
    { requiredKeys: ['certificate', 'signature'] },
  ),
  { nil: undefined },
);

describe('reading a preamble', () => {
  it('finds what a proxy wrote, whatever follows', () => {
    fc.assert(
      fc.property(address, proof, fc.uint8Array(), (client, signed, rest) => {
        const preamble = { client, proof: signed };
        const written = proxyPreamble(preamble);
        const reading = parsePreamble(Buffer.concat([written, rest]));
        expect(reading).toEqual({ status: 'found', preamble, bytes: written.length });
      }),
    );
  });

  it('asks for more of every beginning of one', () => {
    const preamble = unsigned({ host: '203.0.113.9', port: 4022 });
    for (let n = 0; n < preamble.length; n++)
      expect(parsePreamble(preamble.subarray(0, n)).status).toBe('incomplete');
  });

  it('knows the banner of a client from its first byte', () => {
    expect(parsePreamble(Buffer.from('S'))).toEqual({ status: 'absent' });
    expect(parsePreamble(Buffer.from('Teleport-Prixy'))).toEqual({ status: 'absent' });
  });

  it('never throws, never reads beyond 16 KiB', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ minLength: 16_384, maxLength: 17_000 })),
        (tail) => {
          const reading = parsePreamble(Buffer.concat([Buffer.from('Teleport-Proxy'), tail]));
          if (tail.length > 16_384) expect(reading.status).not.toBe('incomplete');
          if (reading.status === 'found') expect(reading.bytes).toBeLessThanOrEqual(16_384);
        },
      ),
    );
  });

  it.each([
    ['{"clientAddr":"host.example:1"}'],
    ['{"clientAddr":"1.2.3.4"}'],
    ['{"clientAddr":"1.2.3.4:65536"}'],
    ['{"clientAddr":"1.2.3.4:-1"}'],
    ['{"clientAddr":"::1:22"}'],
    ['{"clientAddr":"[1.2.3.4]:22"}'],
    ['{"clientAddr":7}'],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA"}'],
    ['{"clientAddr":"1.2.3.4:5","signature":"AAAA"}'],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":""}'],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"no base64"}'],
    ['{"clientAddr":"1.2.3.4:5","certificate":7,"signature":"AAAA"}'],
    [
      '{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","session":"x","sessionSignature":"AAAA"}',
    ],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","sessionSignature":"AAAA"}'],
    [
      '{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","session":"11111111-2222-4333-8444-555555555555"}',
    ],
    [
      '{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","balancerAddr":"x","balancerSignature":"AAAA"}',
    ],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","balancerSignature":"AAAA"}'],
    ['{"clientAddr":"1.2.3.4:5","certificate":"AAAA","signature":"AAAA","balancerAddr":"1.2.3.4:5"}'],
    ['{"__proto__":{"clientAddr":"1.2.3.4:5"}}'],
    ['{}'],
    ['[]'],
    ['null'],
    [''],
    ['\xff'],
  ])('refuses %s', (body) => {
    const bytes = Buffer.concat([Buffer.from('Teleport-Proxy'), Buffer.from(body, 'latin1'), Buffer.of(0)]);
    expect(parsePreamble(bytes).status).toBe('malformed');
  });
});

describe('a preamble of more than 16 KiB', () => {
  it('is refused, though it is well made', () => {
    const body = JSON.stringify({ clientAddr: '1.2.3.4:5', padding: 'x'.repeat(16_384) });
    const bytes = Buffer.concat([Buffer.from('Teleport-Proxy'), Buffer.from(body), Buffer.of(0)]);
    expect(parsePreamble(bytes)).toEqual({ status: 'malformed', reason: 'preamble too long' });
  });
});

describe('taking a preamble off a stream', () => {
  it('leaves the rest to the next reader, however it was cut', async () => {
    const client = { host: '203.0.113.9', port: 4022 };
    for (const pieces of [1, 7, 300]) {
      const socket = new PassThrough();
      const found = readProxyPreamble(socket);
      const bytes = Buffer.concat([unsigned(client), Buffer.from('SSH-2.0-x\r\n')]);
      for (let at = 0; at < bytes.length; at += pieces) socket.write(bytes.subarray(at, at + pieces));
      expect(await found).toEqual({ client, proof: undefined });
      socket.end();
      expect(Buffer.concat(await socket.toArray()).toString()).toBe('SSH-2.0-x\r\n');
    }
  });

  it('gives back all of a stream without one', async () => {
    const socket = new PassThrough();
    socket.end('SSH-2.0-x\r\n');
    expect(await readProxyPreamble(socket)).toBeUndefined();
    expect(String(await socket.toArray())).toBe('SSH-2.0-x\r\n');
  });

  it.each(['PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nSSH-2.0-x\r\n', '\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c'])(
    'refuses a header of the PROXY protocol, in pieces too (%#)',
    async (text) => {
      for (const pieces of [1, 100]) {
        const socket = new PassThrough();
        const found = readProxyPreamble(socket);
        for (let at = 0; at < text.length; at += pieces) socket.write(text.slice(at, at + pieces));
        await expect(found).rejects.toBeInstanceOf(UnexpectedHeader);
      }
    },
  );

  it('tells when the stream ends first', async () => {
    const socket = new PassThrough();
    socket.end('Teleport');
    await expect(readProxyPreamble(socket)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
