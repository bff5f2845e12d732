import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connectAuth } from '../api/auth-connection.ts';
import { openAuditOutbox, type AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import { joinCluster, tryIdentity } from '../api/join-client.ts';
import type { AuthService } from '../auth/service.ts';
import { isWildcard } from '../base/addresses.ts';
import { pause } from '../base/backoff.ts';
import type { HostPort } from '../base/service.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import type { Closers } from './host-service.ts';
import { saveIdentity } from './identity-store.ts';
import { obtainIdentity } from './obtain-identity.ts';
import type { Parts } from './parts.ts';
import { explainAbsence } from './watch-identity.ts';
import { warnOnStandardError } from './standard-error.ts';

type HostRole = 'Proxy' | 'Node';

/** What a host role stands on: its identity, its connection to auth, its audit outbox. */
export interface Standing {
  readonly identity: HostIdentity;
  readonly auth: AuthClient;
  readonly outbox: AuditOutbox;
  /** Whom the connection goes to. */
  readonly authServers: readonly HostPort[];
}

/** Makes what a role stands on. `names` are those by which others reach this machine. */
export type StandingOf = (role: HostRole, names: readonly string[]) => Promise<Standing>;

interface Wish {
  readonly role: HostRole;
  readonly names: readonly string[];
  readonly closers: Closers;
}

/**
 * On the auth service of this process, which certifies the role at each start. It is spoken to directly: during a reload
 * the process before listens at the same address, and its store may be another one.
 */
export async function localStanding(parts: Parts, auth: AuthService, wish: Wish): Promise<Standing> {
  const { configuration, hostId } = parts;
  const identity = await auth.issueHostIdentity({
    hostId,
    nodename: configuration.nodename,
    role: wish.role,
    additionalPrincipals: wish.names,
  });
  saveIdentity(configuration.dataDir, identity);
  return standOn(identity, [callable(auth.listenAddress())], parts, wish, {
    within: () => auth.connectWithin(),
  });
}

/** On auth servers elsewhere, which this machine joins first unless it has done so before. */
export async function joinedStanding(
  parts: Parts,
  wish: Wish & { readonly stopping: AbortSignal },
): Promise<Standing> {
  const { configuration, world, hostId, turnstile } = parts;
  const { role, names, stopping } = wish;
  const sink = parts.logger(role.toLowerCase());
  const identity = await obtainIdentity(
    {
      settings: configuration.join,
      dataDir: configuration.dataDir,
      world,
      sink,
      warn: (text) => {
        warnOnStandardError(text, sink, configuration.log);
      },
      waitsFor: (text) => {
        parts.waitsFor(role, text);
      },
      stopping,
      pass: () => turnstile.pass(stopping),
      contact: { joinCluster, tryIdentity },
      pause,
    },
    { hostId, nodename: configuration.nodename, role, additionalPrincipals: names },
  );
  const { authServers } = configuration.join;
  return standOn(identity, authServers, parts, wish, {
    dress: (client) => explainAbsence(client, { identity, authServers, tryIdentity, world, sink, pause }),
  });
}

interface Link {
  /** To the auth service of this process. */
  readonly within?: () => Duplex;
  readonly dress?: (client: AuthClient) => AuthClient;
}

async function standOn(
  identity: HostIdentity,
  authServers: readonly HostPort[],
  { configuration, world, logger }: Parts,
  { role, closers }: Wish,
  { within, dress = (client) => client }: Link,
): Promise<Standing> {
  const sink = logger(role.toLowerCase());
  const client = dress(
    connectAuth({ servers: authServers, identity, sink, world, ...(within !== undefined && { within }) }),
  );
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
  return { identity, auth: client, outbox, authServers };
}

/** An address to call, from one to listen on. */
const callable = (address: HostPort): HostPort =>
  isWildcard(address.host)
    ? { host: address.host === '::' ? '::1' : '127.0.0.1', port: address.port }
    : address;
