import { hostPresence } from '../../src/api/announce-host.ts';
import type { HostPort } from '../../src/base/service.ts';
import { type AuthorityMaterial, signerFrom } from './authority-material.ts';
import { hostCertifier } from './host-certificates.ts';
import { type LightNode, newTally, startLightNode } from './light-node.ts';

/** A proxy by whose connection people log in, also while the authorities rotate. */
export async function startLightProxy(
  servers: readonly HostPort[],
  authority: AuthorityMaterial,
  dataDir: string,
): Promise<LightNode> {
  const nodename = 'proxy-1';
  const proxy = await startLightNode({
    ...{ servers, dataDir, nodename, role: 'Proxy', pace: hostPresence, tally: newTally() },
    identity: hostCertifier(signerFrom(authority))('Proxy', nodename),
  });
  await proxy.announced;
  return proxy;
}
