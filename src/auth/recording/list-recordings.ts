import { may } from '../../api/guard.ts';
import { listRecordings as row } from '../../api/operations/recording.ts';
import type { Call } from '../../api/server-deps.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { implementing } from '../implementing.ts';
import { listedRecordings } from './listed-recordings.ts';

/** As many events as one search gives. */
const mostEvents = 10_000;

/** Recorded sessions, by what the audit says of them. */
export const listRecordings = implementing(row, async (deps, call, input) => {
  const { from, to, node, limit } = input;
  const user = userFor(call, input.user);
  const search = (types: string[], who: string, until: string) =>
    searchAudit(deps, call, { from, to: until, types, user: who, node, limit: mostEvents });
  const sessions = await search(['session.start', 'session.end'], user, to);
  const now = deps.world.now();
  // Of any time after: a recording is erased by somebody else, and long after its session.
  const until = now > to ? now : to;
  const fates = await search(['session.upload'], user, until);
  const erasures = await searchAudit(deps, call, {
    ...{ from, to: until, types: ['session.recording.erase'], user: '', limit: mostEvents },
  });
  const told = { sessions: sessions.events, fates: [...fates.events, ...erasures.events] };
  const seen = listedRecordings(told).filter(({ sid, participants }) =>
    may(call, row.verb, { kind: 'session', name: sid, participants }),
  );
  const isCut = [sessions, fates, erasures].some(({ truncated }) => truncated);
  return { recordings: seen.slice(-limit), truncated: isCut || seen.length > limit };
});

/** Who may see only what was theirs does not read what was not. */
function userFor(call: Call, asked: string): string {
  const { caller } = call;
  if (asked !== '' || caller.kind !== 'user') return asked;
  return may(call, row.verb, { kind: 'session', name: '', participants: [] }) ? '' : caller.username;
}
