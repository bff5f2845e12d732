import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { replaceableIdentity } from '../../pki/current-identity.ts';
import { privateKeyPem } from '../../pki/key-pair.ts';
import { readRelayStatement } from '../../pki/relay-statement.ts';
import { publicKeyOf } from '../../pki/ssh-key.ts';
import { keyOf, testNow } from '../../pki/testing.ts';
import { issueHostTlsCertificate } from '../../pki/tls-identity.ts';
import { createCaCertificate } from '../../pki/x509.ts';
import { AuthRelay, relayOpener } from './relay-auth.ts';

const now = Promise.resolve();
const never = new Promise<void>(() => undefined);

describe('what is passed on to an auth server', () => {
  it('goes there and back as it is', async () => {
    const [server, far] = duplexPair();
    const relay = new AuthRelay(() => Promise.resolve(server), recordingSink());
    const [machine, near] = duplexPair();
    relay.serve(near);
    machine.end('hello');
    expect(await text(far)).toBe('hello');
    far.end('welcome');
    expect(await text(machine)).toBe('welcome');
    await relay.close(never);
  });

  it('is closed when no auth server answers, and when the time of the proxy is over', async () => {
    const sink = recordingSink();
    const [machine, near] = duplexPair();
    new AuthRelay(() => Promise.reject(new CodedError('unavailable', 'none answers')), sink).serve(near);
    expect(await text(machine).catch(() => '')).toBe('');
    expect(sink.lines.join('\n')).toContain('none answers');
    const [server] = duplexPair();
    const relay = new AuthRelay(() => Promise.resolve(server), sink);
    const [, open] = duplexPair();
    relay.serve(open);
    await relay.close(now);
    expect([open.destroyed, server.destroyed]).toEqual([true, true]);
  });

  it('begins with where the machine is, signed by the proxy, where that is known', async () => {
    const caKey = keyOf('p256', 'authority');
    const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now: testNow });
    const key = keyOf('ed25519', 'host');
    const hostId = '0b0b9b3e-5c8a-4b7e-9a3e-2f1d8f1f0a01';
    const identity = replaceableIdentity({
      ...{ hostId, role: 'Proxy', clusterName: 'example', privateKeyPem: privateKeyPem(key) },
      ...{ sshCertificate: '', tlsCasPem: [caPem], sshHostCas: [] },
      tlsCertificatePem: issueHostTlsCertificate({
        ...{ publicKey: publicKeyOf(key).key, caKey, caPem, hostId, clusterName: 'example', role: 'Proxy' },
        ...{ additionalPrincipals: [], now: testNow, ttlSeconds: 3600 },
      }),
    });
    const first = async (client: { host: string; port: number } | undefined): Promise<string> => {
      const [server, far] = duplexPair();
      const open = relayOpener(() => Promise.resolve(server), identity, fakeWorld(testNow));
      (await open(client, new AbortController().signal)).end('tls');
      return text(far);
    };
    expect(await first(undefined)).toBe('tls');
    const said = Buffer.from(await first({ host: '203.0.113.9', port: 4711 }));
    expect(readRelayStatement(said)).toMatchObject({
      status: 'found',
      said: { client: { host: '203.0.113.9', port: 4711 } },
    });
    expect(said.toString()).toMatch(/\0tls$/);
  });
});
