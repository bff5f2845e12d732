import { may } from '../../api/guard.ts';
import { readResourceHistory as row } from '../../api/operations/resource.ts';
import type { Call } from '../../api/server-deps.ts';
import { implementing } from '../implementing.ts';
import { newest, type Newest } from '../newest.ts';
import { notFound, ruleResourceOf } from './known-documents.ts';
import { pastOf } from './past-documents.ts';
import type { ServedKind } from './served-kind.ts';
import { servedKind } from './served-kinds.ts';
import { type ResourceVersion, versionsOf } from './versions.ts';

/** Of documents in one response. */
const longestAnswer = 4_000_000;

/** @throws CodedError `not_found`, also for what is not the caller's to read; `bad_request` without a past */
export const readResourceHistory = implementing(row, async (deps, call, { kind, name, limit }) => {
  const served = servedKind(kind);
  const gathered = (): Newest<ResourceVersion> =>
    newest({ items: limit, bytes: longestAnswer, bytesOf }, (a, b) => a.position - b.position);
  let kept = gathered();
  let isHidden = false;
  for await (const version of versionsOf(deps.log.state, pastOf(served), name, call)) {
    if (mayRead(served, call, version)) kept.add(version);
    else {
      // What came before it is not for them either: a difference would show what it replaced.
      isHidden = true;
      kept = gathered();
    }
  }
  const versions = kept.sorted();
  // The end of something that they could not read would only show that there was one.
  if (!versions.some(({ status }) => status !== 'deleted')) throw notFound(served, name);
  return { versions, truncated: isHidden || kept.truncated() };
});

const mayRead = (served: ServedKind, call: Call, { status, document }: ResourceVersion): boolean => {
  if (status === 'deleted') return true;
  // Nobody knows what its labels are: whoever may read only some resources of the kind cannot see it.
  const about = document === undefined ? { kind: served.kind.rules } : ruleResourceOf(served, document);
  return may(call, 'readnosecrets', about);
};

const bytesOf = (version: ResourceVersion): number => Buffer.byteLength(JSON.stringify(version));
