import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { tlsIdentityOf } from '../../src/pki/tls-identity.ts';
import {
  hostAuthority,
  hostId,
  hostPair,
  leafKeys,
  strangeAuthority,
  userAuthority,
  userPair,
  type Pair,
} from './pki-tls-pairs.ts';

describe('mutual TLS', () => {
  interface Seen {
    readonly authorized: boolean;
    readonly holder: string;
  }
  interface Served {
    readonly port: number;
    /** Of each connection that got through. */
    readonly seen: Seen[];
    readonly close: () => Promise<void>;
  }

  async function serve(pair: Pair): Promise<Served> {
    const seen: Seen[] = [];
    const server = tls.createServer(
      { ...pair, ca: [userAuthority.pem, hostAuthority.pem], requestCert: true, minVersion: 'TLSv1.2' },
      (socket) => {
        socket.on('error', () => undefined); // a client that does not like us says so by an alert
        const certificate = socket.getPeerX509Certificate();
        const holder = certificate === undefined ? '' : tlsIdentityOf(certificate).username;
        seen.push({ authorized: socket.authorized, holder });
        socket.end(holder);
      },
    );
    server.on('tlsClientError', () => undefined); // the client sees why
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const close = async (): Promise<void> => {
      server.close();
      await once(server, 'close');
    };
    return { port: (server.address() as AddressInfo).port, seen, close };
  }

  /** What the server says; rejects with the reason of the handshake's end. */
  function ask(port: number, options: tls.ConnectionOptions): Promise<string> {
    return new Promise((settle, reject) => {
      const socket = tls.connect({
        ...{ port, host: '127.0.0.1', servername: 'teleport.cluster.local', ca: hostAuthority.pem },
        ...options,
      });
      const parts: Buffer[] = [];
      socket.on('data', (part: Buffer) => parts.push(part));
      socket.on('error', reject);
      socket.on('end', () => {
        settle(Buffer.concat(parts).toString());
      });
    });
  }

  async function withServer<T>(pair: Pair, act: (served: Served) => Promise<T>): Promise<T> {
    const served = await serve(pair);
    try {
      return await act(served);
    } finally {
      await served.close();
    }
  }

  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  const cases = versions.flatMap((version) =>
    leafKeys.flatMap(([serverKey, ofServer]) =>
      leafKeys.map(([clientKey, ofClient]) => ({ version, serverKey, ofServer, clientKey, ofClient })),
    ),
  );
  it.each(cases)(
    '$version: a server with a key on $serverKey knows the person with one on $clientKey',
    async ({ version, ofServer, ofClient }) => {
      await withServer(hostPair(hostAuthority, 'Auth', ofServer()), async ({ port, seen }) => {
        const client = userPair(userAuthority, ofClient());
        expect(await ask(port, { ...client, minVersion: version, maxVersion: version })).toBe('alice');
        expect(seen).toEqual([{ authorized: true, holder: 'alice' }]);
      });
    },
  );

  it('knows a machine by its host certificate', async () => {
    await withServer(hostPair(), async ({ port, seen }) => {
      await ask(port, hostPair(hostAuthority, 'Node'));
      expect(seen).toEqual([{ authorized: true, holder: `${hostId}.example.com` }]);
    });
  });

  it.each(['auth.example.com', 'any.apps.example.com', 'any.teleport.cluster.local'])(
    'lets the client call the server %s',
    async (servername) => {
      await withServer(hostPair(), async ({ port }) => {
        expect(await ask(port, { ...userPair(), servername })).toBe('alice');
      });
    },
  );

  it('does not let the client call it by another name', async () => {
    await withServer(hostPair(), async ({ port }) => {
      await expect(ask(port, { ...userPair(), servername: 'evil.example.org' })).rejects.toMatchObject({
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      });
    });
  });

  it('does not let a node pass for the auth server', async () => {
    await withServer(hostPair(hostAuthority, 'Node'), async ({ port }) => {
      await expect(ask(port, userPair())).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    });
  });

  it('does not let a server of a strange authority with our name pass', async () => {
    await withServer(hostPair(strangeAuthority), async ({ port }) => {
      await expect(ask(port, userPair())).rejects.toMatchObject({
        code: expect.stringMatching(
          /UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_SIGNATURE_FAILURE|UNABLE_TO_GET_ISSUER_CERT/,
        ) as string,
      });
    });
  });

  it('does not let a person of a strange authority with our name in', async () => {
    await withServer(hostPair(), async ({ port, seen }) => {
      // The server hangs up: the client sees an end or an error, but never an answer.
      expect(await ask(port, userPair(strangeAuthority)).catch(() => 'hung up')).toMatch(/^$|^hung up$/);
      expect(seen).toEqual([]);
    });
  });
});
