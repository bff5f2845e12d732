import { join } from 'node:path';
import { connectAuth } from '../api/auth-connection.ts';
import { openAuditOutbox, type AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import type { AuthService } from '../auth/service.ts';
import { isWildcard } from '../base/addresses.ts';
import type { HostPort } from '../base/service.ts';
import type { SystemRole } from '../domain/host-info.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import type { Closers } from './host-service.ts';
import { saveIdentity } from './identity-store.ts';
import type { Parts } from './parts.ts';

/** What a host role stands on: its identity, its connection to auth, its audit outbox. */
export async function hostParts(
  parts: Parts,
  auth: AuthService,
  role: Extract<SystemRole, 'Proxy' | 'Node'>,
  additionalPrincipals: string[],
  closers: Closers,
): Promise<{ identity: HostIdentity; auth: AuthClient; outbox: AuditOutbox }> {
  const { configuration, world, hostId, logger } = parts;
  const sink = logger(role.toLowerCase());
  const identity = await auth.issueHostIdentity({
    hostId,
    nodename: configuration.nodename,
    role,
    additionalPrincipals,
  });
  saveIdentity(configuration.dataDir, identity);
  const client = connectAuth({ servers: [callable(auth.listenAddress())], identity, sink, world });
  closers.add(() => {
    client.close();
  });
  const outbox = await openAuditOutbox({
    directory: join(configuration.dataDir, 'log', 'upload', role.toLowerCase()),
    client,
    sink,
    world,
    maxPending: 20_000,
  });
  closers.add(() => outbox.close());
  return { identity, auth: client, outbox };
}

/** An address to call, from one to listen on. */
export const callable = (address: HostPort): HostPort =>
  isWildcard(address.host)
    ? { host: address.host === '::' ? '::1' : '127.0.0.1', port: address.port }
    : address;
