import { z } from 'zod';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { instant } from '../../base/time.ts';
import { reasonKinds } from '../../domain/access-reason.ts';
import { traits } from '../../domain/role-spec.ts';
import type { RuleResource } from '../../domain/where/evaluate-where.ts';
import { operation } from '../operation.ts';
import { username } from './fields.ts';
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

/** Rules about `access` name whom it is about. */
const aboutUser = (user: string): RuleResource => ({ kind: 'access', name: user });

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
    /** Where the page before ended: its `next`. */
    after: z.string().max(1_024).optional(),
  }),
  about: ({ user }) => ({ kind: 'access', name: user }),
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
