import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type Adopted, rotationMark } from '../../domain/rotation-mark.ts';
import type { AuthoritiesState } from '../../views/authorities.ts';
import { connectAuth } from '../../api/auth-connection.ts';
import { openAuditOutbox, type AuditOutbox } from '../../api/audit-outbox.ts';
import type { AuthClient } from '../../api/client.ts';
import { renewAtAuth } from '../../api/renew-client.ts';
import type { OpenThrough } from '../../api/tls-dial.ts';
import type { AuthService } from '../../auth/service.ts';
import { callable } from '../../base/addresses.ts';
import { pause, randomFraction } from '../../base/backoff.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import {
  type CurrentIdentity,
  type ReplaceableIdentity,
  replaceableIdentity,
} from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { type Agents, openAgents } from '../../tunnel/agents.ts';
import { type Entry, openEntry } from '../entry/entry.ts';
import type { Closers } from '../host-service.ts';
import type { WantedNames } from './certified-names.ts';
import { dialByAuthority } from './dial-by-authority.ts';
import { followHostAuthority } from './follow-authority.ts';
import { joinAgain } from './join-again.ts';
import { loadShown, pendingKey, saveShown, shownAfter } from './identity-store.ts';
import { obtainIdentity, tellLackingNames } from './obtain-identity.ts';
import { adoptedOf } from './shown-identities.ts';
import { keepRenewed, type RenewalDeps } from './renew-identity.ts';
import type { Parts } from '../parts.ts';
import { explainAbsence } from './watch-identity.ts';
import { warnOnStandardError } from '../logging/standard-error.ts';

type HostRole = 'Proxy' | 'Node';

/** What a host role stands on: its identity, its connection to auth, its audit outbox. */
export interface Standing {
  readonly identity: CurrentIdentity;
  /** Why a renewal of its certificates is overdue; undefined while it is not. */
  readonly renewalTrouble: () => string | undefined;
  readonly auth: AuthClient;
  readonly outbox: AuditOutbox;
  /** The auth servers it connects to. */
  readonly authServers: readonly HostPort[];
  /** How far it follows the rotations of authorities, compared with the state that the caller has folded. */
  readonly adopted: (authorities: AuthoritiesState) => Adopted;
  /** Called with the time over which the machines of the cluster spread what all of them do at once. */
  readonly onSpread: (ms: number) => void;
  /** Its links to proxies; undefined for a machine that is reached at its address. */
  readonly agents: Agents | undefined;
}

/** Makes what a role stands on. `names` are those by which others reach this machine. */
export type StandingOf = (role: HostRole, names: readonly string[]) => Promise<Standing>;

/** Space for a thousand events: for somebody who comes to free space, while auth is away. */
const reserveBytes = 1024 * 1024;

interface Wish {
  readonly role: HostRole;
  readonly names: readonly string[];
  readonly closers: Closers;
}

/**
 * On the auth service of this process, which certifies the role at each start. It is called directly, without
 * a socket: during a reload the predecessor listens at the same address, and its store may be a different
 * one. While it cannot serve (it is alive, but cut off from its store) the other auth servers in the file are
 * asked.
 */
export async function localStanding(parts: Parts, auth: AuthService, wish: Wish): Promise<Standing> {
  const { configuration, hostId } = parts;
  const names = { nodename: configuration.nodename, additionalPrincipals: wish.names };
  const certify = (wanted: WantedNames): Promise<HostIdentity> =>
    auth.issueHostIdentity({ hostId, role: wish.role, ...wanted });
  const first = { ...(await certify(names)), askedNames: namesIn(names) };
  const shown = shownAfter(configuration.dataDir, first);
  saveShown(configuration.dataDir, shown);
  const identity = replaceableIdentity(shown.client, shown.server);
  const own = callable(auth.listenAddress());
  const listed = configuration.join.given.includes('auth_servers') ? configuration.join.authServers : [];
  const others = listed.filter((one) => formatHostPort(one) !== formatHostPort(own));
  const link = { within: () => auth.connectWithin() };
  return standOn(identity, [own, ...others], parts, wish, { ...link, names, certifyBy: () => certify });
}

/** On auth servers elsewhere, which this machine joins first unless it has done so before. */
export async function joinedStanding(
  parts: Parts,
  wish: Wish & { readonly stopping: AbortSignal },
): Promise<Standing> {
  const { configuration, world, hostId, turnstile } = parts;
  const { role, names, stopping } = wish;
  const sink = parts.logger(role.toLowerCase());
  const wanted = { nodename: configuration.nodename, additionalPrincipals: names };
  const entry = openEntry({
    servers: configuration.join.authServers,
    kind: role === 'Proxy' ? 'auth' : configuration.join.kind,
    sink,
    random: () => randomFraction(world),
    env: process.env,
  });
  const { joinCluster, tryIdentity } = entry;
  const first = await obtainIdentity(
    {
      settings: configuration.join,
      dataDir: configuration.dataDir,
      world,
      sink,
      warn: (text) => {
        warnOnStandardError(text, sink, configuration.log);
      },
      waitsFor: (text) => {
        parts.waitsFor(role.toLowerCase(), text);
      },
      stopping,
      pass: () => turnstile.pass(stopping),
      contact: { joinCluster, tryIdentity },
      pause,
    },
    { hostId, role, ...wanted },
  );
  const { authServers } = configuration.join;
  const identity = replaceableIdentity(first, loadShown(configuration.dataDir, first).server);
  const agents = entry.reach() === 'tunnel' ? agentsOf(entry, identity, parts, wish) : undefined;
  const joining = joinAgain({
    ...{ settings: configuration.join, dataDir: configuration.dataDir, identity, names: wanted },
    ...{ joinCluster, world, sink, pass: () => turnstile.pass(stopping) },
  });
  const absence = {
    identity: () => identity.current(),
    authServers,
    tryIdentity,
    world,
    sink,
    pause,
    joining,
  };
  const standing = await standOn(identity, authServers, parts, wish, {
    dress: (client) => explainAbsence(client, absence),
    ...(agents && { agents, through: entry.through }),
    names: wanted,
    certifyBy: (client) => (asked) =>
      renewAtAuth(
        client,
        { held: identity.current(), key: pendingKey(configuration.dataDir, role), ...asked },
        world,
      ),
  });
  tellLackingNames(identity.current(), wanted, sink);
  return standing;
}

const namesIn = ({ nodename, additionalPrincipals }: WantedNames): readonly string[] => [
  nodename,
  ...additionalPrincipals,
];

/** Links to proxies, through which auth servers are reached as well. */
function agentsOf(
  entry: Entry,
  identity: CurrentIdentity,
  { world, logger, metrics }: Parts,
  { role, closers }: Wish,
): Agents {
  const agents = openAgents({
    identity,
    dial: entry.dialLink,
    onFailure: () => {
      entry.forget();
    },
    subject: 'this node',
    world,
    measure: (proxy, held) => {
      metrics.set('node_tunnels', held ? 1 : 0, { proxy });
    },
    sink: logger(role.toLowerCase()),
    random: () => randomFraction(world),
  });
  entry.use(agents);
  closers.add(() => {
    agents.close();
  });
  return agents;
}

interface Link {
  /** To the auth service of this process. */
  readonly within?: () => Duplex;
  readonly dress?: (client: AuthClient) => AuthClient;
  readonly names: WantedNames;
  /** How auth servers are reached; default: they are dialled. */
  readonly through?: OpenThrough;
  readonly agents?: Agents;
  /** How this machine is certified again. */
  readonly certifyBy: (client: AuthClient) => RenewalDeps['certify'];
}

async function standOn(
  identity: ReplaceableIdentity,
  authServers: readonly HostPort[],
  { configuration, world, logger, metrics }: Parts,
  { role, closers }: Wish,
  { within, dress = (client) => client, names, certifyBy, through, agents }: Link,
): Promise<Standing> {
  const sink = logger(role.toLowerCase());
  let spreadMs = 0;
  const dialling = connectAuth({
    ...{ servers: authServers, identity, sink, world, through },
    among: () => ({ hostId: identity.current().hostId, spreadMs }),
    ...(within !== undefined && { within }),
  });
  agents?.onMove(() => {
    dialling.dialAgain();
  });
  const client = dress(dialling);
  closers.add(() => {
    client.close();
  });
  const { dataDir } = configuration;
  const authority = followHostAuthority(client.state, sink);
  closers.add(() => {
    authority.close();
  });
  const spread = (): number => spreadMs;
  const dialled = dialByAuthority({
    ...{ client: dialling, authority, spreadMs: spread, world, sink, pause },
  });
  closers.add(() => {
    dialled.close();
  });
  const renewal = keepRenewed({
    ...{ identity, dataDir, names, authority, certify: certifyBy(client), world, sink, pause },
    spreadMs: spread,
  });
  closers.add(() => {
    renewal.close();
  });
  await renewal.namesAsked;
  const outbox = await openAuditOutbox({
    directory: join(dataDir, 'log', 'upload', role.toLowerCase()),
    client,
    sink,
    world,
    maxPending: 20_000,
    // No client waits for a proxy's events to be stored.
    reserveBytes: role === 'Node' ? reserveBytes : 0,
  });
  metrics.onRender(() => {
    const full = outbox.disk().status === 'refusing' ? 1 : 0;
    metrics.set('audit_spool_disk_refuses', full, { role: role.toLowerCase() });
  });
  closers.add(() => outbox.close());
  return {
    ...{ identity, auth: client, outbox, authServers, agents },
    renewalTrouble: () => renewal.trouble(),
    adopted: ({ user, host }) => [rotationMark(user.state), adoptedOf(identity.shown(), host.state)],
    onSpread: (ms) => {
      spreadMs = ms;
    },
  };
}
