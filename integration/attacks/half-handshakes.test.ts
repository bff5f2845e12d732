import { connect, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAuth } from '../../src/api/auth-connection.ts';
import { protocols } from '../../src/api/beats.ts';
import { pingCluster } from '../../src/api/operations/cluster.ts';
import { authServerName } from '../../src/api/tls-dial.ts';
import { dialAnybody } from '../../src/base/dial-tls.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { until } from '../harness/run-program.ts';
import { type AuthDaemon, type AuthDaemons, startAuthDaemons } from '../simulator/auth-daemons.ts';
import { signerFrom } from '../simulator/authority-material.ts';
import { hostCertifier } from '../simulator/host-certificates.ts';

/** Far more than an auth server computes at once. */
const strangers = 600;
const nodes = 30;
/** Another one than that of the nodes, as a stranger has. */
const strangerAddress = '127.0.0.9';

let daemons: AuthDaemons;
let auth: AuthDaemon;
beforeAll(async () => {
  daemons = startAuthDaemons();
  auth = await daemons.add();
});
afterAll(() => daemons.close());

/** What a client begins with, which anybody may send as often as he likes. */
async function clientHello(): Promise<Buffer> {
  const [near, far] = duplexPair();
  const socket = dialAnybody({ socket: near, servername: authServerName, ALPNProtocols: [...protocols] });
  socket.on('error', () => undefined); // nobody answers
  const hello = await new Promise<Buffer>((resolve) => far.once('data', resolve));
  socket.destroy();
  return hello;
}

const outcome = (name: string): Promise<number> => auth.metric(`auth_handshakes_total{outcome="${name}"}`);

/** A stranger who says this much and no more, and comes again whenever he is cut off. */
function pester(said: Buffer): { end(): void } {
  let ended = false;
  let socket: Socket | undefined;
  const come = (): void => {
    if (ended) return;
    socket = connect({ ...auth.address, localAddress: strangerAddress });
    socket.on('error', () => undefined); // refused, as he should be
    socket.on('data', () => undefined);
    socket.once('close', () => setImmediate(come));
    socket.write(said);
  };
  come();
  return {
    end: () => {
      ended = true;
      socket?.destroy();
    },
  };
}

describe('strangers who begin handshakes and do not end them', () => {
  it('keep no node out, nor do those who say nothing at all', { timeout: 120_000 }, async () => {
    const hello = await clientHello();
    const certify = hostCertifier(signerFrom(await daemons.authority()));
    const amounts = [hello, hello.subarray(0, 3), hello.subarray(0, 100)];
    const pests = Array.from({ length: strangers }, (_, n) => pester(amounts[n % 3] ?? hello));
    try {
      await until('the strangers to fill all places', async () =>
        (await outcome('slow')) >= 64 ? true : undefined,
      );
      const took = await Promise.all(
        Array.from({ length: nodes }, async (_, n) => {
          const identity = certify('Node', `node-${n}`);
          const client = connectAuth({
            ...{ servers: [auth.address], identity, world: realWorld, sink: silentLog },
          });
          const began = performance.now();
          await client.call(pingCluster, {});
          client.close();
          return performance.now() - began;
        }),
      );
      expect(took).toHaveLength(nodes);
      // They wait for a place to be given back, a second at most, and not behind those who came before them.
      expect(Math.max(...took)).toBeLessThan(5_000);
      expect(await outcome('done')).toBeGreaterThanOrEqual(nodes);
    } finally {
      for (const pest of pests) pest.end();
    }
    await until('the places to be free again', async () =>
      (await auth.metric('auth_handshakes_waiting')) === 0 ? true : undefined,
    );
  });
});
