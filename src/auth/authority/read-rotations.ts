import type { z } from 'zod';
import { namedLaggards, readRotations as row } from '../../api/operations/authority.ts';
import { isCoded } from '../../base/errors.ts';
import { expectedEnd, nextStep, type Rotation } from '../../domain/rotation.ts';
import { implementing } from '../implementing.ts';
import { followingOf, hostsThatFollow } from './lagging-hosts.ts';

type Output = z.input<typeof row.output>['rotations'][number];

/** From what was folded last, so that it also replies while the store is away. */
export const readRotations = implementing(row, async (deps) => {
  if (deps.contact.refusal() === undefined)
    await deps.views.fresh().catch((e: unknown) => {
      if (!isCoded(e, 'unavailable')) throw e; // `tctl status` reports that the store is away
    });
  const authorities = deps.views.authorities.state();
  const hosts = hostsThatFollow(deps);
  const rotations = (['user', 'host'] as const).flatMap((type): Output[] => {
    const { state } = authorities[type];
    if (state.status !== 'created') return [];
    const { alive, lagging } = followingOf(hosts, type, state);
    const { rotation } = state;
    return [
      {
        type,
        phase: rotation.phase,
        ...underWay(rotation),
        ...(rotation.lastRotatedAt !== null && { lastRotatedAt: rotation.lastRotatedAt }),
        alive,
        acknowledged: alive - lagging.length,
        lagging: lagging.slice(0, namedLaggards),
      },
    ];
  });
  return { rotations };
});

function underWay(rotation: Rotation): Pick<Output, 'underWay'> {
  if (rotation.phase === 'standby') return {};
  const { rotationId, mode, gracePeriodMs, startedAt, phaseSince, phaseBy, endSessions } = rotation;
  const { phase: next, at: nextAt } = nextStep(rotation);
  const endsAt = expectedEnd(rotation);
  return {
    underWay: {
      ...{ rotationId, mode, gracePeriodMs, startedAt, phaseSince, phaseBy, endsAt, next },
      ...(nextAt !== undefined && { nextAt }),
      ...(endSessions === true && { endSessions }),
    },
  };
}
