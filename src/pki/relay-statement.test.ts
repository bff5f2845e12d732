import { describe, expect, it } from 'vitest';
import { plusMs, second } from '../base/time.ts';
import { privateKeyPem } from './key-pair.ts';
import { believedClient, readRelayStatement, relayStatement } from './relay-statement.ts';
import { publicKeyOf } from './ssh-key.ts';
import { keyOf, testNow } from './testing.ts';
import { issueHostTlsCertificate } from './tls-identity.ts';
import { createCaCertificate } from './x509.ts';

const hostId = '0b0b9b3e-5c8a-4b7e-9a3e-2f1d8f1f0a01';
const caOf = (purpose: string) => {
  const caKey = keyOf('p256', purpose);
  return { caKey, caPem: createCaCertificate({ clusterName: 'example', privateKey: caKey, now: testNow }) };
};
const [ca, other] = [caOf('authority'), caOf('another authority')];
const proofOf = (role = 'Proxy', { caKey, caPem } = ca, clusterName = 'example') => {
  const key = keyOf('ed25519', 'host');
  return {
    privateKeyPem: privateKeyPem(key),
    tlsCertificatePem: issueHostTlsCertificate({
      ...{ publicKey: publicKeyOf(key).key, caKey, caPem, hostId, clusterName, role },
      ...{ additionalPrincipals: [], now: testNow, ttlSeconds: 3600 },
    }),
  };
};
const client = { host: '203.0.113.9', port: 4711 };
const policy = { clusterName: 'example', authorities: [ca.caPem], now: plusMs(testNow, 5 * second) };
const said = (proof = proofOf(), at = policy.now) => relayStatement({ client, at }, proof);
function found(bytes: Buffer) {
  const reading = readRelayStatement(bytes);
  if (reading.status !== 'found') throw new Error(reading.status);
  return reading;
}

describe('what a proxy says of a machine that it passes on', () => {
  it('is read with its end, whatever follows, and incomplete at every byte before', () => {
    const statement = said();
    const { bytes, said: read } = found(Buffer.concat([statement, Buffer.from([0x16, 3, 1])]));
    expect(bytes).toBe(statement.length);
    expect(believedClient(read, policy)).toEqual(client);
    for (let length = 0; length < statement.length; length++)
      expect(readRelayStatement(statement.subarray(0, length)).status).toBe('incomplete');
  });

  it('is for IPv6 as well', () => {
    const v6 = { host: '2001:db8::1', port: 1 };
    const read = found(relayStatement({ client: v6, at: policy.now }, proofOf())).said;
    expect(believedClient(read, policy)).toEqual(v6);
  });

  it.each([
    ['of a node', proofOf('Node')],
    ['of another authority', proofOf('Proxy', other)],
    ['of another cluster', proofOf('Proxy', ca, 'other')],
  ])('is not believed %s', (_whose, proof) => {
    expect(() => believedClient(found(said(proof)).said, policy)).toThrow(
      'not signed by a proxy of the cluster',
    );
  });

  it('is not believed later, nor for another address', () => {
    const { said: read } = found(said());
    for (const ms of [-61, 61].map((s) => s * second))
      expect(() => believedClient(read, { ...policy, now: plusMs(policy.now, ms) })).toThrow('not signed');
    expect(() => believedClient({ ...read, client: { ...client, port: 1 } }, policy)).toThrow('not signed');
  });

  it('is nothing else: TLS is left alone, and what cannot be read is malformed', () => {
    expect(readRelayStatement(Buffer.from([0x16, 3, 1])).status).toBe('absent');
    expect(readRelayStatement(Buffer.from('Teleport-Proxy{}\0')).status).toBe('absent');
    for (const body of ['', '{}', 'x', '{"client":"a:1","at":"","certificate":"","signature":""}'])
      expect(readRelayStatement(Buffer.from(`Teleport-Relay${body}\0`)).status).toBe('malformed');
    expect(readRelayStatement(Buffer.from(`Teleport-Relay${'x'.repeat(16 * 1024)}`)).status).toBe(
      'malformed',
    );
  });
});
