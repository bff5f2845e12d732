import { removeHost as row } from '../../api/operations/host.ts';
import { CodedError } from '../../base/errors.ts';
import { rolesOfHost } from '../../views/hosts.ts';
import { aliveUntil } from '../../views/presence.ts';
import { termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { removeRoles } from './remove-roles.ts';

/**
 * Forgets a machine in all its roles: its names are free at once, and its id is free for another key. Its
 * certificate stays valid: a machine that still runs is back with its next heartbeat, if nobody has taken its
 * name by then.
 * @throws CodedError `not_found`; `bad_request` for an auth server that is alive.
 */
export const removeHost = implementing(row, async (deps, call, { hostId }) => {
  const asOf = await deps.views.fresh();
  const roles = rolesOfHost(deps.views.hosts.state(), hostId);
  if (roles.length === 0) throw new CodedError('not_found', `there is no host with the id ${hostId}`);
  const { presence, clock } = deps.views;
  const servesUntil = aliveUntil(presence.state(), { hostId, role: 'Auth' }, clock);
  if (roles.includes('Auth') && servesUntil !== undefined)
    throw new CodedError(
      'bad_request',
      `${hostId} is an auth server that counts as alive until ${servesUntil}: stop it and wait until then`,
    );
  const removal = { hostId, roles, reason: 'removed by an operator' };
  const position = await removeRoles(deps, call, removal, termsOf(call, asOf));
  if (position === undefined) throw new Error('bug: a host that was there is removed without a fact');
  return { position };
});
