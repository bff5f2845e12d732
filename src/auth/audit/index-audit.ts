import { pause } from '../../base/backoff.ts';
import { second } from '../../base/time.ts';
import type { Position } from '../../log/event.ts';
import { eventsInPart } from '../../log/term-chapter.ts';
import type { AuthDeps } from '../deps.ts';
import { startUpkeep, type Upkeep } from '../upkeep.ts';
import { type AuditSource, auditSources } from './audit-sources.ts';

const everyMs = 15 * second;

/**
 * Keeps the indexes by which searches of the audit pass over what they do not want. Any auth server may do
 * it, and several at once. It rests as long as it worked: an old log without an index takes minutes.
 */
export function indexAudit(deps: Pick<AuthDeps, 'log' | 'sink' | 'world'>): Upkeep {
  const { log, sink, world } = deps;
  const reached = new Map<AuditSource, Position>();

  const extend = async (source: AuditSource, ending: AbortSignal): Promise<void> => {
    const { partition, terms } = source;
    const known = reached.get(source) ?? Number.NEGATIVE_INFINITY;
    if (log.stats()[partition].position - known < eventsInPart) return;
    while (!ending.aborted) {
      const began = world.monotonic();
      const { upTo, isBehind } = await log[partition].indexTerms(terms);
      reached.set(source, upTo);
      if (!isBehind) return;
      await pause(world.monotonic() - began, ending);
    }
  };

  return startUpkeep({
    act: async (ending) => {
      for (const source of auditSources) await extend(source, ending);
    },
    everyMs,
    sink,
    warning: 'the index of the audit could not be kept: searches take longer',
    late: 'the index of the audit is behind',
  });
}
