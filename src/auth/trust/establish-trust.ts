import type { z } from 'zod';
import { establishTrust as row } from '../../api/operations/trust.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, errorCodes, isCoded } from '../../base/errors.ts';
import { unprovedName, unprovedReason } from '../../base/unproved-text.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { ClusterKeys } from '../../domain/cluster-keys.ts';
import { joinToken, tokenIdOf, type TokenUse, unknownToken } from '../../domain/join-token.ts';
import { isClusterName } from '../../domain/names.ts';
import { remoteCluster } from '../../domain/remote-cluster.ts';
import { remoteClusterStream, tokenStream } from '../../domain/streams.ts';
import type { Cause, Position } from '../../log/event.ts';
import { load, step, transact } from '../../log/execute.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tokenHash } from '../../pki/token.ts';
import { timeForToken } from '../deciding-time-of.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';
import { ownStatement } from './own-statement.ts';
import { requireOwnKeys, statedKeys } from './stated-keys.ts';

type Input = z.output<typeof row.input>;
type Output = z.input<typeof row.output>;

/**
 * Admits another cluster, which trusts this one from then on. The use of the token and that cluster's keys
 * are recorded in one append. Who shows no token that is valid for a cluster learns nothing else, whatever
 * else is wrong; a refusal spends nothing.
 * @throws CodedError `access_denied`, `already_exists`, `bad_request`; `limit_exceeded` when too many come
 */
export const establishTrust = implementing(row, (deps, call, input) =>
  deps.joins.admit(call.caller.address, async () => {
    deps.lag.require();
    const hash = tokenHash(input.token);
    try {
      return await admit(deps, call, input, hash);
    } catch (e) {
      if (isCoded(e) && !errorCodes[e.code].retry) await tellRefusal(deps, call, input, hash, e.message);
      throw e;
    }
  }),
);

async function admit(deps: AuthDeps, call: Call, input: Input, hash: string): Promise<Output> {
  const { clusterName } = input;
  const { address } = call.caller;
  const asOf = await deps.views.fresh();
  const host = await requireToken(deps, input, { hash, address, asOf });
  const own = clusterOf(deps.views).clusterName;
  if (!isClusterName(clusterName))
    throw new CodedError('bad_request', `${JSON.stringify(clusterName)} cannot be the name of a cluster`);
  if (clusterName === own)
    throw new CodedError(
      'access_denied',
      `this cluster is called ${JSON.stringify(own)} as well: it cannot trust itself`,
    );
  requireOwnKeys(deps, clusterName, { host: host.keys });
  // Signed before anything is written: what cannot be answered is not recorded.
  const [ownHost, ownUser] = await Promise.all([ownStatement(deps, 'host'), ownStatement(deps, 'user')]);
  const use = useOf(input, host, address);
  const { state } = await load(deps.log.state, joinToken, tokenStream(hash), asOf);
  const cause: Cause = { ...causeOf(deps, call), actor: `cluster:${clusterName}` };
  const { position } = await transact(
    deps.log.state,
    [
      step(joinToken, tokenStream(hash), {
        ...{ type: 'use-token', use, staticRoles: undefined },
        ...timeForToken(deps, hash, state),
      }),
      step(remoteCluster, remoteClusterStream(clusterName), {
        ...{ type: 'admit', host, tokenId: tokenIdOf(hash), address },
      }),
    ],
    cause,
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  deps.sink.info('another cluster was admitted, and trusts this one', {
    ...{ cluster: clusterName, tokenId: tokenIdOf(hash), address },
  });
  return { clusterName: own, host: ownHost, user: ownUser };
}

/** The stated keys of a caller whose token admits it now. @throws CodedError as `joinToken` */
async function requireToken(
  deps: AuthDeps,
  input: Input,
  { hash, address, asOf }: { readonly hash: string; readonly address: string; readonly asOf: Position },
): Promise<ClusterKeys> {
  const stream = tokenStream(hash);
  const nobody = useOf(input, undefined, address);
  if ((await deps.log.state.revision(stream, asOf)) === 0) throw unknownToken(nobody);
  const { state } = await load(deps.log.state, joinToken, stream, asOf);
  const time = timeForToken(deps, hash, state);
  // A token that was never for clusters, or is over, says so before the keys are looked at.
  if (state.status !== 'active' || !state.roles.includes('Trusted_cluster'))
    joinToken.decide(state, { type: 'use-token', ...time, use: nobody, staticRoles: undefined });
  const { clusterName, host: statement } = input;
  const host = statedKeys(deps, { clusterName, type: 'host', statement, after: 0 });
  const use = useOf(input, host, address);
  joinToken.decide(state, { type: 'use-token', ...time, use, staticRoles: undefined });
  return host;
}

/** A cluster that asks again with the same name and keys lost our answer: that is the same use. */
const useOf = ({ clusterName }: Input, host: ClusterKeys | undefined, address: string): TokenUse => ({
  ...{ hostId: clusterName, nodename: clusterName, role: 'Trusted_cluster', address },
  key: (host?.keys ?? [])
    .map(({ sshPublicKey }) => fingerprint(fromAuthorizedKeyLine(sshPublicKey)))
    .sort()
    .join(' '),
});

async function tellRefusal(
  deps: AuthDeps,
  call: Call,
  { clusterName }: Input,
  hash: string,
  reason: string,
): Promise<void> {
  const { address } = call.caller;
  if (!deps.joins.mayTell(address)) return;
  const error = unprovedReason(reason);
  const isToken = (await deps.log.state.revision(tokenStream(hash))) > 0;
  const event = catalogue.remoteClusterRefused({
    ...{ name: unprovedName(clusterName), success: false, error, 'addr.remote': address },
    ...(isToken ? { token_id: tokenIdOf(hash) } : {}),
  });
  deps.sink.warn('a cluster that wants to trust this one was refused', { reason: error, address });
  try {
    await deps.ownAudit.record(event, causeOf(deps, call));
  } catch (e) {
    // The other cluster learns why it was refused, not that the audit failed.
    if (!isCoded(e)) throw e;
    deps.joins.untold(address);
    deps.sink.warn('a refused cluster is only counted: the audit does not take it', {
      because: e.message,
      ...event,
    });
  }
}
