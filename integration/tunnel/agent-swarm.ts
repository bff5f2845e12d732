import { randomUUID } from 'node:crypto';
import { recordingSink } from '../../src/api/testing.ts';
import { realWorld } from '../../src/base/world.ts';
import { replaceableIdentity } from '../../src/pki/current-identity.ts';
import { generateEd25519, privateKeyFromPem, privateKeyPem } from '../../src/pki/key-pair.ts';
import { publicKeyOf } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';
import { openWay } from '../../src/process/entry/open-way.ts';
import { type Agents, openAgents } from '../../src/tunnel/agents.ts';

/** What a process of many agents is told to do; the answer comes on the same channel. */
export type SwarmAsk =
  | { readonly open: number; readonly port: number; readonly caPem: string; readonly caKeyPem: string }
  | { readonly report: true };
/** How many agents hang on so many proxies: `held[2]` hang on two. */
export interface SwarmAnswer {
  readonly held: Readonly<Record<number, number>>;
}

const agents: Agents[] = [];

/** The real agents of so many nodes, each under an identity of its own. */
function open({ open: count, port, caPem, caKeyPem }: Extract<SwarmAsk, { open: number }>): void {
  const key = generateEd25519();
  const [keyPem, publicKey] = [privateKeyPem(key), publicKeyOf(key).key];
  const caKey = privateKeyFromPem(caKeyPem);
  for (let i = 0; i < count; i++) {
    const hostId = randomUUID();
    const certificate = issueHostTlsCertificate({
      ...{ publicKey, caPem, caKey, hostId, clusterName: 'example', role: 'Node' },
      ...{ additionalPrincipals: [], now: realWorld.now(), ttlSeconds: 24 * 3600 },
    });
    agents.push(
      openAgents({
        identity: replaceableIdentity({
          ...{ hostId, role: 'Node', clusterName: 'example', privateKeyPem: keyPem, sshCertificate: '' },
          ...{ tlsCertificatePem: certificate, tlsCasPem: [caPem], sshHostCas: [] },
        }),
        dial: (place, signal) => {
          const [host = '', own = ''] = place.status === 'proxy' ? place.address.split(':') : [];
          const address =
            place.status === 'proxy' ? { host, port: Number(own) } : { host: '127.0.0.1', port };
          return openWay({ status: 'tcp', address }, {}, signal);
        },
        world: realWorld,
        sink: recordingSink(),
        subject: 'this node',
        measure: () => undefined,
        random: () => Math.random(),
      }),
    );
  }
}

process.on('message', (ask: SwarmAsk) => {
  if ('open' in ask) open(ask);
  const held: Record<number, number> = {};
  for (const one of agents) held[one.held().length] = (held[one.held().length] ?? 0) + 1;
  process.send?.({ held } satisfies SwarmAnswer);
});
