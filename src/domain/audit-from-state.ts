import type { Instant } from '../base/time.ts';
import type { Fact, Recorded } from '../log/event.ts';
import { momentOfUuidV7 } from '../log/uuid-v7.ts';
import { auditFact } from './audit.ts';
import { catalogue } from './audit-catalogue.ts';
import { completed, type ParsedAuditEvent } from './audit-event.ts';
import { accessRequestFact } from './access-request.ts';
import { tellArchive } from './audit-from-archive.ts';
import { tellRemote, tellTrusted } from './audit-from-clusters.ts';
import { tellIdentity } from './audit-from-identity.ts';
import { tellRequest } from './audit-from-request.ts';
import { tellUser, toldAddresses } from './audit-from-user.ts';
import type { EventBody } from './audit-kind.ts';
import { type AuthorityFact, authorityFact, type LeftHost } from './authority-facts.ts';
import { type ClusterFact, clusterFact } from './cluster.ts';
import { type HostFact, hostFact, replacesKey, type StoredRecord } from './host.ts';
import { identityFact } from './identity.ts';
import { kindOf, reachabilityOf } from './reachability.ts';
import { type InviteFact, inviteFact } from './invite.ts';
import { type LockFact, lockFact } from './lock.ts';
import { type TokenFact, tokenFact, tokenIdOf } from './join-token.ts';
import { remoteClusterFact } from './remote-cluster.ts';
import { type RestoreFact, restoreFact } from './restore.ts';
import { type RoleFact, roleFact } from './role.ts';
import { readStored } from './read-stored.ts';
import { idInStream } from './streams.ts';
import { trustedClusterFact } from './trusted-cluster.ts';
import { userFact } from './user-fact.ts';

/**
 * The audit events that a fact of the partition `state` stands for. Their `uid`s are derived from the id of
 * the fact, so that deriving them twice gives the same events.
 */
export function auditFromState(recorded: Recorded): readonly ParsedAuditEvent[] {
  // An event that the partition `audit` had no room for.
  if (recorded.stream.startsWith('audit-')) {
    const fact = readStored(auditFact, recorded.fact);
    return fact ? [fact.data.event] : [];
  }
  return complete(recorded, tell(recorded));
}

/** With what the log knows of each. */
export function complete(recorded: Recorded, bodies: readonly EventBody[]): readonly ParsedAuditEvent[] {
  const { cause, id } = recorded;
  return bodies.map((told, n) =>
    completed(told, {
      ei: 0,
      uid: n === 0 ? id : nextId(id, n),
      time: happenedAt(recorded),
      actor: cause.actor,
      request_id: cause.requestId,
    }),
  );
}

/**
 * The time by the clock of the auth server that wrote the fact. The log's own time never goes back: when
 * another server's clock was ahead, it may stand still there for hours. The id of a fact contains the time it
 * was made.
 */
function happenedAt({ cause, id }: Recorded): Instant {
  const madeAt = momentOfUuidV7(id);
  return madeAt !== undefined && madeAt < cause.at ? madeAt : cause.at;
}

/** The id of a fact is a UUID of version 7. Version 8 is free for our own use, and sorts behind it. */
const nextId = (id: string, n: number): string => `${id.slice(0, 14)}${7 + n}${id.slice(15)}`;

function tell(recorded: Recorded): readonly EventBody[] {
  const category = recorded.stream.slice(0, recorded.stream.indexOf('-'));
  if (category === 'user') {
    const fact = readStored(userFact, recorded.fact);
    const username = idInStream(recorded.stream, 'user') ?? '';
    const by = nameOf(recorded.cause.actor);
    return fact ? tellUser(fact, { username, by, at: happenedAt(recorded) }) : [];
  }
  if (category === 'host')
    return tellHost(readStored(hostFact, recorded.fact), idInStream(recorded.stream, 'host') ?? '');
  const told = tellOther(recorded);
  return told === undefined ? [] : [told];
}

/** By category of stream: the audit events of its facts, given the id of the stream and the actor. */
const tellers: Readonly<Record<string, (fact: Fact, id: string, by: string) => EventBody | undefined>> = {
  invite: (fact) => tellInvite(readStored(inviteFact, fact)),
  role: (fact, _id, by) => tellRole(readStored(roleFact, fact), by),
  identity: (fact, _id, by) => tellIdentity(readStored(identityFact, fact), by),
  token: (fact, id, by) => tellToken(readStored(tokenFact, fact), tokenIdOf(id), by),
  lock: (fact, id, by) => tellLock(readStored(lockFact, fact), id, by),
  request: (fact, id, by) => tellRequest(readStored(accessRequestFact, fact), id, by),
  archive: (fact, _id, by) => tellArchive(fact, by),
  cluster: (fact, _id, by) => tellCluster(readStored(clusterFact, fact), by),
  restore: (fact, _id, by) => tellRestore(readStored(restoreFact, fact), by),
  authority: (fact, id, by) => tellAuthority(readStored(authorityFact, fact), id, by),
  trusted: (fact, id, by) => tellTrusted(readStored(trustedClusterFact, fact), id, by),
  remote: (fact, id, by) => tellRemote(readStored(remoteClusterFact, fact), id, by),
};

function tellOther({ stream, fact, cause }: Recorded): EventBody | undefined {
  const category = stream.slice(0, stream.indexOf('-'));
  const teller = Object.hasOwn(tellers, category) ? tellers[category] : undefined;
  return teller?.(fact, idInStream(stream, category) ?? '', nameOf(cause.actor));
}

/** `user:alice` is shown as `alice`, any other actor as it is. */
const nameOf = (actor: string): string => (actor.startsWith('user:') ? actor.slice(5) : actor);

/** The user's own facts already report that a link was made and that it was used. */
const tellInvite = (fact: InviteFact | undefined): EventBody | undefined =>
  fact?.type === 'invite.opened'
    ? catalogue.resetPasswordTokenOpen({
        user: fact.data.username,
        purpose: fact.data.purpose,
        ...toldAddresses(fact.data.addresses),
      })
    : undefined;

function tellRole(fact: RoleFact | undefined, by: string): EventBody | undefined {
  const common = { user: by, updated_by: by };
  switch (fact?.type) {
    case 'role.created':
      return catalogue.roleCreated({ ...common, name: fact.data.role.name });
    case 'role.updated':
      return catalogue.roleUpdated({ ...common, name: fact.data.role.name });
    case 'role.deleted':
      return catalogue.roleDeleted({ ...common, name: fact.data.name });
    case undefined:
      return undefined;
  }
}

function aboutHost(record: StoredRecord) {
  const { hostId, role, nodename, labels, version } = record;
  const reachability = reachabilityOf(record);
  return {
    server_id: hostId,
    server_hostname: nodename,
    ...(reachability.status === 'direct'
      ? { server_addr: reachability.address }
      : { reached_by: kindOf(reachability) }),
    server_labels: labels,
    role,
    version,
  };
}

function tellHost(fact: HostFact | undefined, hostId: string): readonly EventBody[] {
  switch (fact?.type) {
    case 'host.joined':
      return [catalogue.hostJoin({ success: true, ...aboutHost(fact.data.host) })];
    case 'host.changed':
      return [catalogue.hostChange({ ...aboutHost(fact.data.host) })];
    case 'host.left':
      return [catalogue.hostLeave({ server_id: hostId, ...fact.data })];
    case 'host.admitted':
      return tellAdmitted(fact.data, hostId);
    case undefined:
      return [];
  }
}

/** That a renewal was made is told by the new certificate, and a use that a token records by that token. */
function tellAdmitted(
  admitted: Extract<HostFact, { type: 'host.admitted' }>['data'],
  hostId: string,
): readonly EventBody[] {
  const { role, nodename, key, previousKey, tokenId, address, by } = admitted;
  const use =
    by === 'token'
      ? [
          catalogue.joinTokenUse({
            ...{ success: true, token_id: tokenId },
            ...toldOfJoiner({ hostId, nodename, role, address, key }),
          }),
        ]
      : [];
  if (!replacesKey(admitted)) return use;
  return [
    ...use,
    catalogue.hostRekey({
      server_id: hostId,
      server_hostname: nodename,
      role,
      token_id: tokenId,
      key,
      previous_key: previousKey,
      'addr.remote': address,
    }),
  ];
}

type Joiner = Pick<
  Parameters<typeof catalogue.joinTokenUse>[0],
  'host_id' | 'nodename' | 'role' | 'key' | 'addr.remote'
>;
/** Who joins, or tries to. */
export const toldOfJoiner = ({
  hostId,
  nodename,
  role,
  address,
  key,
}: Extract<TokenFact, { type: 'token.used' }>['data']): Joiner => ({
  host_id: hostId,
  nodename,
  role,
  key,
  'addr.remote': address,
});

function tellToken(fact: TokenFact | undefined, tokenId: string, by: string): EventBody | undefined {
  const changed = { user: by, updated_by: by, token_id: tokenId };
  switch (fact?.type) {
    case 'token.created': {
      const { roles, expiresAt, uses, names } = fact.data;
      if (roles.includes('Trusted_cluster'))
        return catalogue.trustedClusterTokenCreate({ ...changed, expires: expiresAt });
      const limits = {
        roles,
        expires: expiresAt,
        ...(uses === null ? {} : { uses }),
        ...(names === undefined ? {} : { names }),
      };
      return catalogue.joinTokenCreate({ ...changed, ...limits });
    }
    case 'token.deleted':
      return catalogue.joinTokenDelete({ ...changed });
    case 'token.used':
      return catalogue.joinTokenUse({
        success: true,
        token_id: fact.data.tokenId ?? tokenId,
        ...toldOfJoiner(fact.data),
      });
    case undefined:
      return undefined;
  }
}

function tellLock(fact: LockFact | undefined, id: string, by: string): EventBody | undefined {
  const changed = { user: by, name: id, updated_by: by };
  switch (fact?.type) {
    case 'lock.created': {
      const { target, message, expiresAt } = fact.data;
      return catalogue.accessLockCreated({
        ...changed,
        ...{ target_kind: target.kind, target_name: target.name, message },
        ...(expiresAt === undefined ? {} : { expires: expiresAt }),
      });
    }
    case 'lock.ended':
      return catalogue.accessLockDeleted({ ...changed, reason: fact.data.reason });
    case undefined:
      return undefined;
  }
}

function tellCluster(fact: ClusterFact | undefined, by: string): EventBody | undefined {
  switch (fact?.type) {
    case 'cluster.created':
      return catalogue.clusterCreate({
        user: by,
        name: fact.data.clusterName,
        cluster_id: fact.data.clusterId,
        second_factor: fact.data.secondFactor,
      });
    case 'cluster.configured': {
      const second_factor = fact.data.secondFactor;
      return catalogue.authPreferenceUpdate({ user: by, second_factor });
    }
    case undefined:
      return undefined;
  }
}

const tellRestore = (fact: RestoreFact | undefined, by: string): EventBody | undefined =>
  fact?.type === 'restore.finished'
    ? catalogue.clusterRestore({ user: by, digest: fact.data.digest, counts: fact.data.counts })
    : undefined;

function tellAuthority(fact: AuthorityFact | undefined, type: string, by: string): EventBody | undefined {
  switch (fact?.type) {
    case 'authority.created':
      return catalogue.authorityCreate({ user: by, name: fact.data.clusterName, type: fact.data.type });
    case 'authority.rotation_started': {
      const { rotationId, mode, gracePeriodMs } = fact.data;
      const rotation = { rotation_id: rotationId, mode, grace_period_ms: gracePeriodMs };
      return catalogue.authorityRotate({ user: by, type, phase: 'init', ...rotation });
    }
    case 'authority.rotation_advanced':
      return toldStep(fact.data, { type, by, phase: fact.data.phase });
    case 'authority.rotation_rolled_back':
      return toldStep(fact.data, { type, by, phase: 'rollback' });
    case 'authority.rotation_finished':
      return toldStep(fact.data, { type, by, phase: 'standby' });
    case 'authority.replaced': {
      const { rotationId, left } = fact.data;
      return catalogue.authorityReplace({
        ...{ user: by, type, rotation_id: rotationId },
        left: left.map(nameOfLeft),
      });
    }
    case 'authority.announced':
    case undefined:
      return undefined;
  }
}

/** A step that left hosts behind is a warning that names them. */
function toldStep(
  { rotationId, left }: { readonly rotationId: string; readonly left: readonly LeftHost[] },
  { type, phase, by }: { readonly type: string; readonly phase: string; readonly by: string },
): EventBody {
  const step = { user: by, type, phase, rotation_id: rotationId };
  return left.length === 0
    ? catalogue.authorityRotate(step)
    : catalogue.authorityRotateForced({ ...step, left: left.map(nameOfLeft) });
}

const nameOfLeft = ({ hostId, role, nodename }: LeftHost): string => `${nodename} [${hostId}] ${role}`;
