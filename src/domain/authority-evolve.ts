import { unreachable } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { AuthorityFact, SignedAnnouncement } from './authority-facts.ts';
import {
  activeSigner,
  type AuthorityState,
  type CreatedAuthority,
  type RetiredKey,
} from './authority-state.ts';
import type { UnderWay } from './rotation.ts';

/** For this many keys, the newest, the state remembers when and by whom they were withdrawn. */
const remembered = 20;

/** The authority after a fact. Total. */
export function evolveAuthority(state: AuthorityState, fact: AuthorityFact): AuthorityState {
  if (fact.type === 'authority.created') return created(fact.data);
  // A rotation step without content: the schema allows it, no writer writes it.
  return state.status === 'absent' ? state : evolved(state, fact);
}

type DataOf<T extends AuthorityFact['type']> = Extract<AuthorityFact, { type: T }>['data'];

const created = ({ type, clusterName, keys, rotated }: DataOf<'authority.created'>): CreatedAuthority => ({
  status: 'created',
  type,
  clusterName,
  keys: keys.toSorted((a, b) => (a.activeFrom < b.activeFrom ? -1 : 1)),
  rotation: {
    phase: 'standby',
    lastRotatedAt: rotated?.lastRotatedAt ?? null,
    lastRotationId: rotated?.lastRotationId ?? null,
  },
  retired: [],
  announcement: rotated?.announcement,
  announcements: rotated?.announcements ?? 0,
});

type StepFact = Exclude<AuthorityFact, { type: 'authority.created' }>;

function evolved(state: CreatedAuthority, fact: StepFact): CreatedAuthority {
  switch (fact.type) {
    case 'authority.rotation_started':
      return started(state, fact.data);
    case 'authority.rotation_advanced':
      return inPhase(state, fact.data.phase, fact.data);
    case 'authority.rotation_rolled_back':
      return inPhase(state, 'rollback', fact.data);
    case 'authority.rotation_finished':
      return finished(state, fact.data);
    case 'authority.replaced':
      return replaced(state, fact.data);
    case 'authority.announced':
      return announced(state, fact.data.announcement);
    default:
      return unreachable(fact);
  }
}

const announced = (state: CreatedAuthority, announcement: SignedAnnouncement): CreatedAuthority => ({
  ...state,
  announcement,
  announcements: state.announcements + 1,
});

function started(state: CreatedAuthority, data: DataOf<'authority.rotation_started'>): CreatedAuthority {
  const { rotationId, mode, gracePeriodMs, at, by, key, announcement, endSessions } = data;
  const { lastRotatedAt } = state.rotation;
  return {
    ...announced(state, announcement),
    keys: [...state.keys, key],
    rotation: {
      phase: 'init',
      ...{ rotationId, mode, gracePeriodMs, lastRotatedAt },
      startedAt: at,
      phaseSince: at,
      phaseBy: by,
      oldKeyId: activeSigner(state).keyId,
      newKeyId: key.keyId,
      ...(endSessions === true && { endSessions }),
    },
  };
}

function inPhase(
  state: CreatedAuthority,
  phase: UnderWay['phase'],
  { rotationId, at, by }: { readonly rotationId: string; readonly at: Instant; readonly by: string },
): CreatedAuthority {
  const { rotation } = state;
  if (rotation.phase === 'standby' || rotation.rotationId !== rotationId) return state;
  // After a rollback no step is taken automatically: somebody wanted the rotation to stop.
  const mode = phase === 'rollback' ? 'manual' : rotation.mode;
  return { ...state, rotation: { ...rotation, phase, mode, phaseSince: at, phaseBy: by } };
}

function finished(state: CreatedAuthority, data: DataOf<'authority.rotation_finished'>): CreatedAuthority {
  const { rotation } = state;
  if (rotation.phase === 'standby') return state;
  const isBack = data.keyId === rotation.oldKeyId;
  const why = isBack ? 'rolled_back' : 'rotated';
  const endsSessions = data.endSessions === true;
  return withOnly(state, {
    ...data,
    why,
    endsSessions,
    lastRotatedAt: isBack ? rotation.lastRotatedAt : data.at,
  });
}

const replaced = (state: CreatedAuthority, data: DataOf<'authority.replaced'>): CreatedAuthority =>
  withOnly(
    { ...state, keys: [...state.keys, data.key] },
    { ...data, keyId: data.key.keyId, why: 'replaced', endsSessions: true, lastRotatedAt: data.at },
  );

/** Every other key is withdrawn. */
function withOnly(
  state: CreatedAuthority,
  end: {
    readonly keyId: string;
    readonly rotationId: string;
    readonly at: Instant;
    readonly by: string;
    readonly why: RetiredKey['why'];
    readonly endsSessions: boolean;
    readonly announcement: SignedAnnouncement;
    readonly lastRotatedAt: Instant | null;
  },
): CreatedAuthority {
  const { keyId, rotationId, at, by, why, endsSessions, announcement, lastRotatedAt } = end;
  const gone = state.keys
    .filter((key) => key.keyId !== keyId)
    .map((key) => ({ key, at, by, why, rotationId, endsSessions }));
  return {
    ...announced(state, announcement),
    keys: state.keys.filter((key) => key.keyId === keyId),
    rotation: { phase: 'standby', lastRotatedAt, lastRotationId: rotationId },
    retired: [...state.retired, ...gone].slice(-remembered),
  };
}
