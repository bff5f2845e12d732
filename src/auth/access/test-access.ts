import { testAccess as row } from '../../api/operations/access.ts';
import { CodedError } from '../../base/errors.ts';
import { type Explanation, explainAccess } from '../../domain/access-explanation.ts';
import type { Labels } from '../../domain/label-selector.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { implementing } from '../implementing.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { accessNow } from './known-access.ts';
import { locksOnEntering, nodeFinder } from './known-nodes.ts';
import { type KnownPerson, personNamed } from './known-people.ts';
import { rolesIn } from './roles-instead.ts';

type Expectation = InputOf<typeof row>['expectations'][number];
type Result = OutputOf<typeof row>['results'][number];

/** @throws CodedError `bad_request` for a document that is no role, or an expectation about no server. */
export const testAccess = implementing(row, async (deps, _call, { expectations, roles }) => {
  await deps.views.fresh();
  const now = accessNow(deps);
  const instead = rolesIn(roles);
  const find = nodeFinder(now);
  const people = new Map<string, KnownPerson>();
  const personOf = (user: string): KnownPerson => {
    const known = people.get(user) ?? personNamed(now, user, instead);
    people.set(user, known);
    return known;
  };
  const explain = ({ user, login }: Expectation, labels: Labels, node?: HostInfo): Explanation => {
    const person = personOf(user);
    const locks = locksOnEntering(now, { person, login, ...(node !== undefined && { node }) });
    return explainAccess({ person, login, labels, locks });
  };
  const resultOf = (expectation: Expectation): Result => {
    const { node, labels } = expectation;
    if (labels !== undefined) return compared(expectation, [explain(expectation, labels)]);
    const nodes = find(node ?? '');
    if (nodes.length === 0) return { status: 'failed', why: [`node ${JSON.stringify(node)} is not found`] };
    return compared(
      expectation,
      nodes.map((one) => explain(expectation, one.labels, one)),
    );
  };
  for (const [i, { node, labels }] of expectations.entries())
    if ((node === undefined) === (labels === undefined))
      throw new CodedError('bad_request', `expectations[${i}]: either node or labels, one of them`);
  return { results: expectations.map(resultOf) };
});

/** Where several machines have the name, all of them are to be as expected. */
function compared({ expect }: Expectation, explained: readonly Explanation[]): Result {
  const wanted = expect === 'allow' ? 'allowed' : 'denied';
  const other = explained.find(({ status }) => status !== wanted);
  if (other === undefined) return { status: 'met' };
  return { status: 'failed', why: [...other.reasons, ...other.near].map(({ text }) => text) };
}
