import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { reasonKinds } from '../../domain/access-reason.ts';
import { traits } from '../../domain/role-spec.ts';
import type { RuleResource } from '../../domain/where/evaluate-where.ts';
import { operation } from '../operation.ts';
import { position, username } from './fields.ts';
import { document } from './resource.ts';

const login = z.string().min(1).max(128);
const nodeName = z.string().min(1).max(255);
const labels = foreignRecord(anyKey, z.string().max(4_096));

const reason = z.object({
  kind: z.enum(reasonKinds),
  role: z.string().optional(),
  /** The part of the role, as its file calls it. */
  place: z.string().optional(),
  text: z.string(),
});

const explanation = z.object({
  login: z.string(),
  status: z.enum(['allowed', 'denied']),
  reasons: z.array(reason),
  /** Roles that have one half of it. */
  near: z.array(reason),
  /** What would have to change. */
  changes: z.array(z.string()),
});

/**
 * As it was after the last event at or before this time, with the labels that nodes announced by then; locks
 * by that time. @throws CodedError `bad_request` for a time that has not come yet; `unavailable` on a long
 * log: each further try gets further.
 */
const at = instant.optional();

/** Rules about `access` name whom it is about. */
const aboutUser = (user: string | undefined): RuleResource => ({ kind: 'access', name: user });

/**
 * Whether a user may enter a node as a login, by what, and what would have to change.
 * @throws CodedError `not_found` for a node that the cluster does not have.
 */
export const explainAccess = operation({
  name: 'access.explain',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'read',
  input: z.object({
    user: username,
    /** Left out: each login that a role of the user names. */
    login: login.optional(),
    /** Its name or its id. */
    node: nodeName,
    at,
  }),
  about: ({ user }) => aboutUser(user),
  output: z.object({
    user: z.object({
      status: z.enum(['known', 'missing', 'unreadable']),
      roles: z.array(z.string()),
      traits,
      /** Approved access requests: their roles count with a certificate that names them. */
      requests: z
        .array(z.object({ requestId: z.string(), roles: z.array(z.string()), expiresAt: instant }))
        .default([]),
    }),
    /** Several where machines have one name. */
    nodes: z.array(
      z.object({
        hostId: z.string(),
        nodename: z.string(),
        labels,
        logins: z.array(explanation),
      }),
    ),
    /** How many nodes and logins more there are than were explained. */
    leftOut: z.object({ nodes: z.number(), logins: z.number() }),
  }),
});

/** Pages of `access.list` have at most so many rows. */
export const longestAccessPage = 1_000;

/**
 * Who may enter which nodes, by user, then by the name of the node: of the users about whom the caller may
 * ask.
 * @throws CodedError `not_found` for a user, a node or a role that is not there.
 */
export const listAccess = operation({
  name: 'access.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'list',
  input: z.object({
    user: username.optional(),
    /** Name or id. */
    node: nodeName.optional(),
    /** Only what this role allows. */
    role: z.string().min(1).max(128).optional(),
    at,
    /** Where the page before ended: its `next`. */
    after: z.string().max(1_024).optional(),
  }),
  about: ({ user }) => aboutUser(user),
  output: z.object({
    rows: z.array(
      z.object({
        user: z.string(),
        hostId: z.string(),
        nodename: z.string(),
        logins: z.array(z.object({ login: z.string(), roles: z.array(z.string()) })),
        /** In force, and about this user, a role, the node or one of the logins. */
        locks: z.array(z.string()),
      }),
    ),
    /** Users to whom nothing is allowed whatever their other roles say, and why. */
    without: z.array(z.object({ user: z.string(), text: z.string() })),
    /** Left out at the end. A page may have no rows and a `next`: so much work was done. */
    next: z.string().optional(),
  }),
});

/** Who changed something, when, by which request. */
const changeEvent = z.object({
  /** Of the fact: `role.updated`. */
  type: z.string(),
  /** What it was about, as `tctl get` names it: `role/dev`. */
  resource: z.string(),
  at: instant,
  /** `user:alice`, `admin`, … */
  actor: z.string(),
  requestId: z.string(),
  position,
});
export type ChangeEvent = z.infer<typeof changeEvent>;

/** A page of `access.diff` has at most so many rows. */
export const longestDiffPage = 200;

/**
 * Who gained and who lost which logins on which nodes between two times, locks counted, each with the change
 * that did it. By user, then by the name of the node: of the users about whom the caller may ask. As it also
 * tells who changed something, it takes the right to list events as well.
 * @throws CodedError `not_found` for a user or a node that was there at neither time; `bad_request` for a
 *   time that has not come yet; `limit_exceeded` when too much changed meanwhile; `unavailable` as above.
 */
export const diffAccess = operation({
  name: 'access.diff',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'list',
  input: z.object({
    from: instant,
    /** Left out: now. */
    to: instant.optional(),
    user: username.optional(),
    /** Name or id. */
    node: nodeName.optional(),
    /** Where the page before ended: its `next`. */
    after: z.string().max(1_024).optional(),
  }),
  about: ({ user }) => aboutUser(user),
  output: z.object({
    rows: z.array(
      z.object({
        user: z.string(),
        hostId: z.string(),
        nodename: z.string(),
        gained: z.array(z.string()),
        lost: z.array(z.string()),
        /** The last that gave or took each of these logins, in order. */
        changes: z.array(
          z.object({
            gained: z.array(z.string()),
            lost: z.array(z.string()),
            /** By then at the latest, for a lock that ran out. */
            at: instant,
            /** Left out for a lock that ran out: nobody did it then. */
            by: changeEvent.optional(),
          }),
        ),
      }),
    ),
    /** As that of `access.list`. */
    next: z.string().optional(),
  }),
});

/**
 * By which changes a login is granted, or which one took it away. As it also tells who changed something, it
 * takes the right to list events as well.
 * @throws CodedError `not_found` for a node that the cluster does not have now, unless it is named by its id;
 *   `limit_exceeded` when there were too many changes.
 */
export const blameAccess = operation({
  name: 'access.blame',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'read',
  input: z.object({ user: username, login, node: nodeName }),
  about: ({ user }) => aboutUser(user),
  output: z.object({
    /** Several where machines have one name. */
    nodes: z.array(
      z.object({
        hostId: z.string(),
        nodename: z.string(),
        status: z.enum(['allowed', 'denied']),
        reasons: z.array(reason),
        /**
         * Of each role that grants it, the last change without which it would not, as everything else is
         * now: of the role, of the user, of the node.
         */
        grants: z.array(z.object({ role: z.string(), by: z.array(changeEvent) })),
        /** The last change by which it came to be as it is; left out where it never was otherwise. */
        since: z
          .object({
            at: instant,
            /** Left out for a lock that ran out. */
            by: changeEvent.optional(),
          })
          .optional(),
      }),
    ),
    /** How many more nodes have the name. */
    leftOut: z.number(),
  }),
});

/** One call of `access.test` takes at most so many. */
export const mostExpectations = 500;

const expectation = z.object({
  user: username,
  login,
  /** Either a node by its name or id, or the labels of one that there may be. */
  node: nodeName.optional(),
  labels: labels.optional(),
  expect: z.enum(['allow', 'deny']),
});

/** Compares what people expect with what the roles of the cluster say; nothing is changed. */
export const testAccess = operation({
  name: 'access.test',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'read',
  input: z.object({
    expectations: z.array(expectation).max(mostExpectations),
    /** Documents of roles, as if they had been written. */
    roles: z.array(document).max(500).default([]),
  }),
  about: ({ expectations }) => [...new Set(expectations.map(({ user }) => user))].map(aboutUser),
  output: z.object({
    /** One for each expectation, in order. */
    results: z.array(
      z.discriminatedUnion('status', [
        z.object({ status: z.literal('met') }),
        z.object({
          status: z.literal('failed'),
          /** Why it is as it is. */
          why: z.array(z.string()),
        }),
      ]),
    ),
  }),
});

/** A page of `access.replay` is about at most so many sessions and refusals. */
export const longestReplayPage = 1_000;

/**
 * Which sessions of the past these roles would have refused, and which refusals they would have let in. Users
 * and all other roles count as they were at the time of each, locks do not. In the order in which the log
 * got to know of them; about users of whom the caller may ask. As it reads the audit it takes the right to
 * list events as well.
 * @throws CodedError `bad_request` for what is no role, or a `to` that is not after `from`; `unavailable` as
 *   above.
 */
export const replayAccess = operation({
  name: 'access.replay',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'access',
  verb: 'list',
  input: z.object({
    roles: z.array(document).min(1).max(500),
    from: instant,
    /** Left out: now. */
    to: instant.optional(),
    /** Where the page before ended: its `next`. */
    after: position.optional(),
  }),
  output: z.object({
    rows: z.array(
      z.object({
        /** `refused`: a session that there was. `let_in`: a refusal that there was. */
        status: z.enum(['refused', 'let_in']),
        time: instant,
        user: z.string(),
        login: z.string(),
        nodename: z.string(),
        hostId: z.string().optional(),
        sid: z.string().optional(),
        /**
         * What the roles of that time say: where they say the same, the certificate of then had others than
         * the user.
         */
        thenRoles: z.enum(['allowed', 'denied']),
        why: z.array(z.string()),
      }),
    ),
    /** How many sessions, and refusals by roles, this page looked at. */
    sessions: z.number(),
    refusals: z.number(),
    /** Left out at the end. A page may have no rows and a `next`: so much was read. */
    next: position.optional(),
  }),
});
