import type { Instant } from '../base/time.ts';
import type { Recorded } from '../log/event.ts';
import { momentOfUuidV7 } from '../log/uuid-v7.ts';
import { auditFact } from './audit.ts';
import { auditCodes } from './audit-codes.ts';
import type { AuditEvent } from './audit-event.ts';
import { tellUser, type Told, toldAddresses } from './audit-from-user.ts';
import { type AuthorityFact, authorityFact } from './authority.ts';
import { type ClusterFact, clusterFact } from './cluster.ts';
import { type HostFact, hostFact } from './host.ts';
import type { HostInfo } from './host-info.ts';
import { type InviteFact, inviteFact } from './invite.ts';
import { type TokenFact, tokenFact, tokenIdOf, type TokenUse } from './join-token.ts';
import { type RoleFact, roleFact } from './role.ts';
import { idInStream } from './streams.ts';
import { userFact } from './user-fact.ts';

/**
 * The audit events that a fact of the partition `state` stands for. Their `uid`s follow from the id of the fact: told twice,
 * they are the same events.
 */
export function auditFromState(recorded: Recorded): readonly AuditEvent[] {
  // One that the partition `audit` had no room for.
  if (recorded.stream.startsWith('audit-')) {
    const fact = auditFact.safeParse(recorded.fact).data;
    return fact ? [fact.data.event] : [];
  }
  const { cause, id } = recorded;
  return tell(recorded).map((told, n) => ({
    ei: 0,
    uid: n === 0 ? id : nextId(id, n),
    time: happenedAt(recorded),
    ...told,
    actor: cause.actor,
    request_id: cause.requestId,
  }));
}

/**
 * By the clock of the auth server that wrote it. The log's own time does not go back: for hours it may stand where another server's
 * clock was that was ahead. The id of an event says when it was made.
 */
function happenedAt({ cause, id }: Recorded): Instant {
  const madeAt = momentOfUuidV7(id);
  return madeAt !== undefined && madeAt < cause.at ? madeAt : cause.at;
}

/** The id of a fact is a UUID of version 7; those of version 8 are free to mean what we like, and sort behind it. */
const nextId = (id: string, n: number): string => `${id.slice(0, 14)}${7 + n}${id.slice(15)}`;

function tell(recorded: Recorded): readonly Told[] {
  const category = recorded.stream.slice(0, recorded.stream.indexOf('-'));
  if (category === 'user') {
    const fact = userFact.safeParse(recorded.fact).data;
    const username = idInStream(recorded.stream, 'user') ?? '';
    const by = nameOf(recorded.cause.actor);
    return fact ? tellUser(fact, { username, by, at: happenedAt(recorded) }) : [];
  }
  const told = tellOther(recorded);
  return told === undefined ? [] : [told];
}

function tellOther(recorded: Recorded): Told | undefined {
  const category = recorded.stream.slice(0, recorded.stream.indexOf('-'));
  const by = nameOf(recorded.cause.actor);
  switch (category) {
    case 'invite':
      return tellInvite(inviteFact.safeParse(recorded.fact).data);
    case 'role':
      return tellRole(roleFact.safeParse(recorded.fact).data, by);
    case 'host':
      return tellHost(hostFact.safeParse(recorded.fact).data, idInStream(recorded.stream, 'host') ?? '');
    case 'token':
      return tellToken(
        tokenFact.safeParse(recorded.fact).data,
        tokenIdOf(idInStream(recorded.stream, 'token') ?? ''),
        by,
      );
    case 'cluster':
      return tellCluster(clusterFact.safeParse(recorded.fact).data, by);
    case 'authority':
      return tellAuthority(authorityFact.safeParse(recorded.fact).data, by);
    default:
      return undefined;
  }
}

/** `user:alice` is told as `alice`, any other actor as it is. */
const nameOf = (actor: string): string => (actor.startsWith('user:') ? actor.slice(5) : actor);

/** That it was made is told by the user's own fact, and so is that it was used. */
const tellInvite = (fact: InviteFact | undefined): Told | undefined =>
  fact?.type === 'invite.opened'
    ? {
        event: 'reset_password_token.open',
        code: auditCodes.resetPasswordTokenOpen,
        user: fact.data.username,
        purpose: fact.data.purpose,
        ...toldAddresses(fact.data.addresses),
      }
    : undefined;

function tellRole(fact: RoleFact | undefined, by: string): Told | undefined {
  const common = { user: by, updated_by: by };
  switch (fact?.type) {
    case 'role.created':
      return { event: 'role.created', code: auditCodes.roleCreated, ...common, name: fact.data.role.name };
    case 'role.updated':
      return { event: 'role.updated', code: auditCodes.roleUpdated, ...common, name: fact.data.role.name };
    case 'role.deleted':
      return { event: 'role.deleted', code: auditCodes.roleDeleted, ...common, name: fact.data.name };
    case undefined:
      return undefined;
  }
}

const aboutHost = ({ hostId, role, nodename, address, labels, version }: HostInfo): object => ({
  server_id: hostId,
  server_hostname: nodename,
  server_addr: address,
  server_labels: labels,
  role,
  version,
});

function tellHost(fact: HostFact | undefined, hostId: string): Told | undefined {
  switch (fact?.type) {
    case 'host.joined':
      return {
        event: 'instance.join',
        code: auditCodes.hostJoin,
        success: true,
        ...aboutHost(fact.data.host),
      };
    case 'host.changed':
      return { event: 'instance.update', code: auditCodes.hostChange, ...aboutHost(fact.data.host) };
    case 'host.left':
      return { event: 'instance.leave', code: auditCodes.hostLeave, server_id: hostId, ...fact.data };
    case 'host.admitted': {
      const { role, nodename, key, previousKey, tokenId, address } = fact.data;
      // That a machine was admitted is told by the use of its token.
      if (previousKey === '') return undefined;
      return {
        event: 'instance.rekey',
        code: auditCodes.hostRekey,
        server_id: hostId,
        server_hostname: nodename,
        role,
        token_id: tokenId,
        key,
        previous_key: previousKey,
        'addr.remote': address,
      };
    }
    case undefined:
      return undefined;
  }
}

/** Who joins, or tries to. */
export const toldOfJoiner = ({ hostId, nodename, role, address, key }: TokenUse): object => ({
  host_id: hostId,
  nodename,
  role,
  key,
  'addr.remote': address,
});

function tellToken(fact: TokenFact | undefined, tokenId: string, by: string): Told | undefined {
  const changed = { user: by, updated_by: by, token_id: tokenId };
  switch (fact?.type) {
    case 'token.created': {
      const { roles, expiresAt, uses, names } = fact.data;
      const limits = {
        roles,
        expires: expiresAt,
        ...(uses === null ? {} : { uses }),
        ...(names === undefined ? {} : { names }),
      };
      return { event: 'join_token.create', code: auditCodes.joinTokenCreate, ...changed, ...limits };
    }
    case 'token.deleted':
      return { event: 'join_token.delete', code: auditCodes.joinTokenDelete, ...changed };
    case 'token.used':
      return {
        event: 'join_token.use',
        code: auditCodes.joinTokenUse,
        success: true,
        token_id: fact.data.tokenId ?? tokenId,
        ...toldOfJoiner(fact.data),
      };
    case undefined:
      return undefined;
  }
}

function tellCluster(fact: ClusterFact | undefined, by: string): Told | undefined {
  switch (fact?.type) {
    case 'cluster.created':
      return {
        event: 'cluster.create',
        code: auditCodes.clusterCreate,
        user: by,
        name: fact.data.clusterName,
        cluster_id: fact.data.clusterId,
        second_factor: fact.data.secondFactor,
      };
    case 'cluster.configured': {
      const second_factor = fact.data.secondFactor;
      return {
        event: 'auth_preference.update',
        code: auditCodes.authPreferenceUpdate,
        user: by,
        second_factor,
      };
    }
    case undefined:
      return undefined;
  }
}

const tellAuthority = (fact: AuthorityFact | undefined, by: string): Told | undefined =>
  fact && {
    event: 'cert_authority.create',
    code: auditCodes.authorityCreate,
    user: by,
    name: fact.data.clusterName,
    type: fact.data.type,
  };
