import { z } from 'zod';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { roleJoining } from './role-joining.ts';
import { requestAccess, roleRequest } from './role-request.ts';
import { ruleSet } from './role-rule.ts';

/** `logins`, `kubernetes_groups`, … → values. */
export const traits = foreignRecord(anyKey, z.array(z.string()));
export type Traits = z.infer<typeof traits>;

const conditions = z.strictObject({
  logins: z.array(z.string()).default([]),
  /**
   * Key → values; a value is a glob with `*`, or a regular expression when it is `^…$`. `'*': ['*']` matches
   * all.
   */
  nodeLabels: foreignRecord(anyKey, z.array(z.string())).default({}),
});

/** A role as the log holds it. Options left out take the defaults of `domain/access.ts`. */
export const roleSpec = z.strictObject({
  name: z.string().min(1).max(128),
  options: z.strictObject({
    maxSessionTtlSeconds: z
      .number()
      .int()
      .positive()
      .default(30 * 3600),
    forwardAgent: z.boolean().default(false),
    portForwarding: z.boolean().default(true),
    disconnectExpiredCert: z.boolean().default(false),
    /** 0: never. */
    clientIdleTimeoutSeconds: z.number().int().nonnegative().default(0),
    /** Session channels of one connection; 0: no limit. */
    maxSessions: z.number().int().nonnegative().default(0),
    /**
     * Whether people with the role may enter a server whose disk is full, to free space. When not set, only
     * the role `admin` allows it. It has no default in the schema because servers of an earlier release do
     * not know the option.
     */
    enterOnFullDisk: z.boolean().optional(),
    /** What becomes of a session that cannot be recorded. Left out: `strict`, if no other role says more. */
    recordSession: z.enum(['strict', 'best_effort']).optional(),
    /**
     * Connections of a person in the whole cluster; 0 is no limit. This release cannot enforce one: a role
     * that has one is refused, and withheld where another release wrote it.
     */
    maxConnections: z.literal(0).optional(),
    /** `oldssh`: certificates that OpenSSH 7.1 and older read. */
    certFormat: z.enum(['standard', 'oldssh']).optional(),
    /** Whether `tsh login` requests roles by itself, and with a reason. Default: optional. */
    requestAccess: z.enum(requestAccess).optional(),
    /** What it asks for the reason with. */
    requestPrompt: z.string().max(1_000).optional(),
  }),
  allow: conditions,
  deny: conditions,
  /** What may be done with resources of the cluster. Left out: nothing. Servers do not ask it. */
  rules: ruleSet.optional(),
  /** Which roles its holders may request. Left out: none. */
  request: roleRequest.optional(),
  /** Whose sessions its holders may join. Left out: none beside those that they could have begun. */
  joining: roleJoining.optional(),
  /** For people and programs. */
  description: z.string().max(1_000).optional(),
  labels: foreignRecord(anyKey, z.string()).optional(),
});
export type RoleSpec = z.infer<typeof roleSpec>;
