import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { createSshServer } from './cert-server.ts';
import { proxyPreamble } from './proxy-preamble.ts';

it('tells once a minute of addresses that are not believed: anybody can name one', async () => {
  const [ca, host] = [generateEd25519(), generateEd25519()];
  const certificate = issueCertificate({
    ...{ key: publicKeyOf(host), ca, kind: 'host', keyId: '', principals: ['node1'], serial: 1n },
    ...{ validAfter: 0n, validBefore: 2n ** 62n, extensions: {} },
  });
  const told: string[] = [];
  const server = createSshServer(
    {
      hostKeys: [{ privateKey: host, certificate }],
      ...{ now: () => 1_700_000_000n, version: 'x', userAuthorities: () => [] },
      ...{ authorize: () => undefined, onAuthFailure: () => undefined },
      sink: {
        ...silentLog,
        warn: (message, fields) => {
          told.push(`${message}: ${String(fields?.['reason'])}`);
        },
      },
    },
    () => ({}),
  );
  const preamble = proxyPreamble({
    client: { host: '192.0.2.1', port: 1 },
    proof: { certificate: Buffer.of(1), signature: Buffer.of(2) },
  });
  for (let n = 0; n < 20; n++) {
    const socket = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        done();
      },
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    server.accept(socket, { doubtAboutClient: () => 'it lies' });
    socket.push(preamble);
    await closed;
  }
  expect(told).toEqual([expect.stringMatching(/^ssh connection refused: .* is not believed: it lies$/)]);
});
