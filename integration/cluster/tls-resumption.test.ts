import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dialable } from '../../src/api/dial-servers.ts';
import { authServerName, certificateShownOn, tlsServer } from '../../src/api/tls-dial.ts';
import type { HostPort } from '../../src/base/service.ts';
import {
  type AuthBench,
  type Material,
  identityOf,
  newKey,
  signersOf,
  startAuth,
} from '../harness/auth-bench.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';

let auth: AuthBench;
let identity: Material & { hostId: string };
beforeEach(async () => {
  auth = await startAuth();
  identity = await identityOf(auth, 'Node');
});
afterEach(() => auth.stop());

const serverAt = (address: HostPort, of: Material = identity): Dialable =>
  tlsServer(address, {
    key: of.privateKeyPem,
    cert: of.tlsCertificatePem,
    ca: of.tlsCasPem,
    serverName: authServerName,
  });

/**
 * Asks over a connection of its own; answers whether its TLS session was an earlier one, and what the server
 * said.
 */
async function ask(server: Dialable, host = identity.hostId): Promise<{ reused: boolean; status: string }> {
  const duplex: Duplex = await server.connect(AbortSignal.timeout(5_000));
  const reused = duplex instanceof TLSSocket && duplex.isSessionReused();
  const info = {
    hostId: host,
    role: 'Node',
    nodename: 'Node-1',
    address: '1.2.3.4:1',
    publicAddress: '',
    labels: {},
  };
  const body = JSON.stringify({ host: { ...info, version: '4.5.0' }, ttlSeconds: 60 });
  duplex.write(
    `POST /v3/host.heartbeat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  let text = '';
  for await (const chunk of duplex) text += String(chunk);
  return { reused, status: text.split(' ')[1] ?? '' };
}

describe('a second connection to the same auth server', () => {
  it('resumes the session of the first, and is known to be the same host', async () => {
    const server = serverAt(auth.address());
    expect(await ask(server)).toEqual({ reused: false, status: '200' });
    expect(await ask(server)).toEqual({ reused: true, status: '200' });
    // The certificate of the session speaks, not the body.
    expect(await ask(server, randomUUID())).toEqual({ reused: true, status: '403' });
  });

  it('rests on the certificate that the server showed when the session began', async () => {
    const server = serverAt(auth.address());
    const shown: (string | undefined)[] = [];
    for (const reused of [false, true]) {
      const duplex = await server.connect(AbortSignal.timeout(5_000));
      expect(duplex instanceof TLSSocket && duplex.isSessionReused()).toBe(reused);
      // The server sends what a later connection resumes with beside its first answer.
      duplex.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
      duplex.resume();
      await once(duplex, 'end');
      shown.push(certificateShownOn(duplex)?.fingerprint256);
    }
    expect(shown[0]).toMatch(/^[0-9A-F:]{95}$/);
    expect(shown[1]).toBe(shown[0]);
  });

  it('proves itself anew where the server does not know the session', async () => {
    const other = await startAuth({ log: auth.log });
    let target = auth.address();
    const balancer = createServer((near) => {
      const far = connect(target.port, target.host);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => undefined);
    });
    await new Promise<void>((ready) => balancer.listen(0, '127.0.0.1', ready));
    const server = serverAt({ host: '127.0.0.1', port: (balancer.address() as AddressInfo).port });
    expect(await ask(server)).toEqual({ reused: false, status: '200' });
    target = other.address();
    expect(await ask(server)).toEqual({ reused: false, status: '200' });
    expect(await ask(server)).toEqual({ reused: true, status: '200' });
    balancer.close();
    await other.stop();
  });

  it('is refused with a certificate that has expired meanwhile', async () => {
    const { host } = await signersOf(auth.log);
    const { privateKeyPem, publicKey } = newKey();
    const tlsCertificatePem = issueHostTlsCertificate({
      publicKey: publicKey.key,
      caPem: host.tlsCertificatePem,
      caKey: host.tls,
      hostId: identity.hostId,
      clusterName: 'example',
      role: 'Node',
      additionalPrincipals: ['Node-1'],
      now: new Date(Date.now() - 10 * 365 * 24 * 3_600_000 + 3_600_000).toISOString(),
    });
    const server = serverAt(auth.address(), {
      privateKeyPem,
      tlsCertificatePem,
      tlsCasPem: identity.tlsCasPem,
    });
    expect(await ask(server)).toEqual({ reused: false, status: '200' });
    auth.advance(2 * 3_600_000);
    expect(await ask(server)).toEqual({ reused: true, status: '403' });
  });
});
