import { isCoded } from '../../base/errors.ts';
import { second } from '../../base/duration.ts';
import { msBetween } from '../../base/time.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { AuthorityType } from '../../domain/authority-facts.ts';
import { type CreatedAuthority, keysInUse } from '../../domain/authority-state.ts';
import { nextStep, type RotationPhase, type UnderWay } from '../../domain/rotation.ts';
import type { Cause } from '../../log/event.ts';
import { announcementEnd } from '../../pki/authority-announcement.ts';
import type { AuthDeps } from '../deps.ts';
import { announcementOf, nextNumber, signersOf } from './announce-keys.ts';
import { destroyWithdrawn } from './destroy-withdrawn.ts';
import { followingOf, hostsThatFollow } from './lagging-hosts.ts';
import { commandFor } from './rotation-step.ts';
import { takeSteps } from './take-steps.ts';

export interface AutomaticRotation {
  /** Checks once whether a step is due; resolves when that was tried. */
  run(): Promise<void>;
  /** That a rotation waits, and for which hosts; undefined when none does. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

const everyMs = second;
/** How many of the hosts that delay a rotation are named in a line. */
const namedInLine = 5;

type Deps = Pick<
  AuthDeps,
  'log' | 'views' | 'world' | 'sink' | 'hostId' | 'keys' | 'lag' | 'ownAudit' | 'contact'
>;

/**
 * Takes the steps of automatic rotations when they are due. Whichever auth server comes first takes a step,
 * and the others find it taken. Where a host that is alive has not acknowledged the phase, the step waits,
 * which is reported; it is taken as soon as all have. Announcements that are about to expire are made again.
 */
export function automaticRotation(deps: Deps): AutomaticRotation {
  const waiting = new Map<AuthorityType, { readonly key: string; readonly text: string }>();
  const look = async (): Promise<void> => {
    if (deps.lag.trouble() !== undefined || deps.contact.refusal() !== undefined) return;
    for (const type of ['user', 'host'] as const) {
      const { state } = deps.views.authorities.state()[type];
      if (state.status !== 'created' || state.rotation.phase === 'standby') {
        waiting.delete(type);
        continue;
      }
      await announceAgain(deps, state, state.rotation);
      await advance(state, state.rotation);
    }
  };

  const advance = async (state: CreatedAuthority, rotation: UnderWay): Promise<void> => {
    const { phase, at: dueAt } = nextStep(rotation);
    const { type } = state;
    if (dueAt === undefined || deps.world.now() < dueAt) {
      waiting.delete(type);
      return;
    }
    await deps.views.fresh();
    await deps.views.presence.reached(await deps.log.presence.head());
    const { lagging } = followingOf(hostsThatFollow(deps), type, state);
    if (lagging.length > 0) {
      await tellWaiting(
        state,
        rotation,
        lagging.map(({ nodename, role }) => `${nodename} (${role})`),
      );
      return;
    }
    waiting.delete(type);
    await takeStep(deps, state, phase);
  };

  const tellWaiting = async (
    { type }: CreatedAuthority,
    rotation: UnderWay,
    names: readonly string[],
  ): Promise<void> => {
    const next = nextStep(rotation).phase;
    const text = `the rotation of the ${type} authority waits in phase ${rotation.phase} for ${named(names)}`;
    const key = `${rotation.rotationId}/${rotation.phase}`;
    const isTold = waiting.get(type)?.key === key;
    waiting.set(type, { key, text });
    if (isTold) return;
    deps.sink.warn('a rotation waits: hosts that are alive have not acknowledged its phase', {
      ...{ authority: type, phase: rotation.phase, next, count: names.length, hosts: named(names) },
      advice:
        'see "tctl auth rotate --status"; it goes on by itself when they have, or with --phase and --force',
    });
    // One of several auth servers is enough.
    if (!isFirstAuthServer(deps)) return;
    const event = { user: actorOf(deps), type, phase: next, rotation_id: rotation.rotationId };
    await deps.ownAudit.recordFromReserve(
      catalogue.authorityRotateWaiting({ ...event, hosts: names.slice(0, 100), count: names.length }),
      causeNow(deps),
    );
  };

  let isFailing = false;
  const run = async (): Promise<void> => {
    try {
      await look();
      isFailing = false;
    } catch (e) {
      // Another server was first, or the store is away: the next look decides again.
      if (!isCoded(e)) throw e;
      if (e.code === 'bad_request' || e.code === 'conflict') return;
      if (!isFailing)
        deps.sink.warn('a step of a rotation could not be taken; tries again', { reason: e.message });
      isFailing = true;
    }
  };
  let running = Promise.resolve();
  let isRunning = false;
  const begin = (): Promise<void> => {
    if (isRunning) return running;
    isRunning = true;
    running = run().finally(() => {
      isRunning = false;
    });
    return running;
  };
  const timer = startTicker(() => void begin(), everyMs);
  timer.unref();
  return {
    run: begin,
    trouble: () => {
      const texts = [...waiting.values()].map(({ text }) => text);
      return texts.length === 0 ? undefined : texts.join('; ');
    },
    close: async () => {
      stopTimer(timer);
      await running;
    },
  };
}

const named = (names: readonly string[]): string =>
  names.length <= namedInLine
    ? names.join(', ')
    : `${names.slice(0, namedInLine).join(', ')} and ${names.length - namedInLine} more`;

const actorOf = ({ hostId }: Pick<Deps, 'hostId'>): string => `auth:${hostId}`;

const causeNow = (deps: Deps): Cause => ({
  at: deps.world.now(),
  actor: actorOf(deps),
  requestId: deps.world.uuid(),
});

async function takeStep(deps: Deps, state: CreatedAuthority, phase: RotationPhase): Promise<void> {
  const before = deps.views.authorities.state();
  const at = deps.world.now();
  const command = await commandFor(deps, state, {
    ...{ phase, at, by: actorOf(deps), left: [] },
    // Nothing begins here. Whether sessions end stands in the rotation.
    endSessions: false,
    ...{ mode: 'auto', gracePeriodMs: 1, newRotationId: '' },
  });
  await takeSteps(deps, [{ type: state.type, command }], causeNow(deps));
  deps.sink.info('a rotation went on by itself', { authority: state.type, phase });
  await destroyWithdrawn(deps, before);
}

/** When less than half of its lifetime is left. */
async function announceAgain(deps: Deps, state: CreatedAuthority, rotation: UnderWay): Promise<void> {
  const { announcement, type, clusterName } = state;
  const life = announcement === undefined ? undefined : announcementEnd(announcement);
  const at = deps.world.now();
  if (life?.until === undefined || msBetween(at, life.until) > msBetween(life.at, life.until) / 2) return;
  const keys = keysInUse(state).trusted;
  const number = nextNumber(state);
  const { gracePeriodMs } = rotation;
  const again = announcementOf({
    ...{ clusterName, type, number, at, keys, gracePeriodMs },
    signers: await signersOf(deps, type, keys),
  });
  const keyIds = state.keys.map(({ keyId }) => keyId);
  const command = { type: 'announce-keys', at, keyIds, announcement: again, number } as const;
  await takeSteps(deps, [{ type, command }], causeNow(deps));
}

function isFirstAuthServer(deps: Deps): boolean {
  const first = hostsThatFollow(deps)
    .filter(({ role }) => role === 'Auth')
    .map((host) => host.hostId)
    .sort()[0];
  return first === undefined || first === deps.hostId;
}
