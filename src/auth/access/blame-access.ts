import type { OutputOf } from '../../api/operation.ts';
import { blameAccess as row } from '../../api/operations/access.ts';
import type { Call } from '../../api/server-deps.ts';
import { explainAccess } from '../../domain/access-explanation.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { hostStream } from '../../domain/streams.ts';
import { implementing } from '../implementing.ts';
import { noPast } from '../past/past-states.ts';
import { changeEventOf, requireEvents } from './change-event.ts';
import { changesOfReach, type ReachChange } from './changes-of-reach.ts';
import { DecisiveEvents } from './decisive-events.ts';
import { changesThatGrant } from './granting-changes.ts';
import { accessNow, type KnownAccess } from './known-access.ts';
import { locksOnEntering, nodesNamed } from './known-nodes.ts';
import { personNamed } from './known-people.ts';

/** Before any log. */
const firstOfAll = '1970-01-01T00:00:00.000Z';
/** One answer is about at most so many nodes of a name. */
const mostNodes = 20;

type Blamed = OutputOf<typeof row>['nodes'][number];
interface Asked {
  readonly user: string;
  readonly login: string;
  readonly known: KnownAccess;
  readonly events: DecisiveEvents;
}
interface Place extends Pick<HostInfo, 'hostId' | 'nodename'> {
  /** Undefined for one that has left. */
  readonly node: HostInfo | undefined;
}

/** @throws CodedError as the row says. */
export const blameAccess = implementing(row, async (deps, call, { user, login, node: name }) => {
  requireEvents(call);
  const asOf = await deps.views.fresh();
  const known = accessNow(deps);
  const events = new DecisiveEvents(deps.log.state, { after: 0, until: Number.MAX_SAFE_INTEGER, asOf }, call);
  const places = await placesNamed(known, events, name);
  const nodes: Blamed[] = [];
  for (const place of places.slice(0, mostNodes))
    nodes.push(await blamed(call, { user, login, known, events }, place));
  return { nodes, leftOut: Math.max(0, places.length - mostNodes) };
});

/** A node that has left is known by its id alone. */
async function placesNamed(
  known: KnownAccess,
  events: DecisiveEvents,
  name: string,
): Promise<readonly Place[]> {
  try {
    return nodesNamed(known, name).map((node) => ({ ...node, node }));
  } catch (e) {
    const hostId = name.toLowerCase();
    if ((await events.of(hostStream(hostId))).length === 0) throw e;
    return [{ hostId, nodename: hostId, node: undefined }];
  }
}

async function blamed(
  { deadline }: Call,
  { user, login, known, events }: Asked,
  { hostId, nodename, node }: Place,
): Promise<Blamed> {
  const person = personNamed(known, user);
  const locks = locksOnEntering(known, { person, login, ...(node !== undefined && { node }) });
  const explained = explainAccess({ person, login, labels: node?.labels ?? {}, locks });
  const status = node === undefined ? 'denied' : explained.status;
  const { now: toAt } = known;
  const course = { from: noPast, fromAt: firstOfAll, to: known, toAt, events, deadline };
  const [changes = []] = await changesOfReach(course, [{ username: user, hostId }]);
  const granting = status === 'allowed' ? explained.reasons.flatMap(({ role }) => role ?? []) : [];
  const grants: Blamed['grants'] = [];
  for (const role of granting) {
    const by = await changesThatGrant(events, { role, person, login, hostId, labels: node?.labels ?? {} });
    grants.push({ role, by: by.map(changeEventOf) });
  }
  const gone = { kind: 'not_allowed' as const, text: 'the node has left the cluster' };
  const reasons = node === undefined ? [gone] : [...explained.reasons, ...explained.near];
  return { ...{ hostId, nodename, status, reasons, grants }, ...sinceOf(changes, login, status) };
}

/** The last change of this login. */
function sinceOf(
  changes: readonly ReachChange[],
  login: string,
  status: Blamed['status'],
): Pick<Blamed, 'since'> {
  const last = changes.findLast((one) => (status === 'allowed' ? one.gained : one.lost).includes(login));
  if (last === undefined) return {};
  return {
    since: { at: last.at, ...(last.event !== undefined && { by: changeEventOf(last.event) }) },
  };
}
