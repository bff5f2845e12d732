import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { authorityType } from '../../domain/authority-facts.ts';
import { systemRole } from '../../domain/host-info.ts';
import { rotationPhases } from '../../domain/rotation.ts';
import { operation } from '../operation.ts';
import { hostSigner } from './cluster.ts';
import { position } from './fields.ts';

const phase = z.enum(rotationPhases);

/** A host that is alive and has not acknowledged a phase, with what is known about it. */
export const laggingHost = z.object({
  hostId: z.string(),
  role: systemRole,
  nodename: z.string(),
  address: z.string(),
  version: z.string(),
  lastSeenAt: instant,
  /** The phase that it acknowledged last; undefined where its release reports none, or there is none yet. */
  acknowledged: phase.optional(),
  /** Why it cannot follow, where that is known; empty otherwise. */
  reason: z.string(),
});
export type LaggingHost = z.infer<typeof laggingHost>;

/** This many are listed; the count is of all. */
export const namedLaggards = 100;

export const authorityRotation = z.object({
  type: authorityType,
  phase,
  /** Left out in standby. */
  underWay: z
    .object({
      rotationId: z.string(),
      mode: z.enum(['manual', 'auto']),
      gracePeriodMs: z.number(),
      startedAt: instant,
      phaseSince: instant,
      phaseBy: z.string(),
      /** When the rotation ends if nothing delays it; in manual mode by its grace period. */
      endsAt: instant,
      next: phase,
      /** When the next step is due; left out in manual mode. */
      nextAt: instant.optional(),
      /** Sessions that began under the old key end with it. */
      endSessions: z.boolean().optional(),
    })
    .optional(),
  lastRotatedAt: instant.optional(),
  /** Hosts that are alive, by role: one machine counts once for each. */
  alive: z.number(),
  acknowledged: z.number(),
  lagging: z.array(laggingHost),
});
export type AuthorityRotation = z.infer<typeof authorityRotation>;

/** Where the rotation of each authority stands, and which hosts delay it. */
export const readRotations = operation({
  name: 'authority.rotations',
  repeatable: true,
  withoutStore: true,
  who: ['Admin', 'operator'],
  resource: 'cert_authority',
  verb: 'readnosecrets',
  input: z.object({}),
  output: z.object({ rotations: z.array(authorityRotation) }),
});

/**
 * Takes a step of a rotation, for all named authorities or for none. `phase` init starts one. A grace period
 * of 0 withdraws every key at once, even during a rotation, and requires `force`.
 */
export const rotateAuthorities = operation({
  name: 'authority.rotate',
  who: ['Admin', 'operator'],
  resource: 'cert_authority',
  verb: 'rotate',
  about: ({ types }) => types.map((type) => ({ kind: 'cert_authority', authorityType: type })),
  input: z.object({
    types: z.array(authorityType).min(1).max(2),
    phase,
    mode: z.enum(['manual', 'auto']).default('manual'),
    gracePeriodMs: z
      .number()
      .int()
      .nonnegative()
      .max(10 * 365 * 24 * 3600 * 1000),
    /**
     * Continues although hosts that are alive have not acknowledged the previous phase: they are left behind.
     */
    force: z.boolean().default(false),
    /** Returns what would be done, and changes nothing. */
    dryRun: z.boolean().default(false),
    /**
     * Sessions that began under the key of the user authority that is withdrawn end: by this step, or by the
     * last one of the rotation that it starts.
     */
    endSessions: z.boolean().default(false),
  }),
  output: z.object({
    /** `blocked`: nothing was changed, since hosts lack the phase that would end. */
    status: z.enum(['done', 'blocked', 'dry_run']),
    steps: z.array(z.object({ type: authorityType, from: phase, to: phase })),
    /** The hosts that have not acknowledged the phase that ends: with `force`, left behind. */
    lagging: z.array(laggingHost),
    laggingCount: z.number(),
    position: position.optional(),
  }),
});

export const listAuthorities = operation({
  name: 'authority.list',
  repeatable: true,
  who: ['user', 'Proxy', 'Node', 'Auth', 'Admin'],
  resource: 'cert_authority',
  verb: 'readnosecrets',
  input: z.object({ type: z.enum(['user', 'host']) }),
  output: z.object({ authorities: z.array(hostSigner) }),
});
