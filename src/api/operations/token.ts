import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { tokenRole } from '../../domain/join-token.ts';
import { operation } from '../operation.ts';
import { done, position } from './fields.ts';

/** A secret with which machines join. Shown once: only its hash is kept. */
export const createToken = operation({
  name: 'token.create',
  who: ['Admin', 'operator'],
  resource: 'token',
  verb: 'create',
  input: z.object({
    roles: z.array(tokenRole).min(1),
    ttlSeconds: z.number().int().positive().default(1800),
    /**
     * How many joins it admits, a machine in one role counting as one; without it, any number until it
     * expires.
     */
    uses: z.number().int().positive().optional(),
    /** Patterns of what its machines may be called: `web-*`. Empty: anything. */
    names: z.array(z.string().max(253)).max(20).optional(),
    /** A value chosen by the operator instead of a random one. */
    value: z.string().max(1024).optional(),
  }),
  output: z.object({
    token: z.string(),
    tokenId: z.string(),
    expiresAt: instant,
    position,
    /** As they apply. Older releases leave them out. */
    names: z.array(z.string()).default([]),
  }),
});

export const tokenSummary = z.object({
  /** Identifies the token, and reveals nothing of its secret. */
  tokenId: z.string(),
  /** `static` ones are in the file of the auth server that replies. */
  origin: z.enum(['static', 'dynamic']),
  roles: z.array(tokenRole),
  /** Null: never. */
  expiresAt: instant.nullable(),
  /** Null: any number. */
  usesLeft: z.number().int().nonnegative().nullable(),
  /** How many joins it has admitted. */
  joined: z.number().int().nonnegative(),
  /** What its machines may be called; empty: anything. */
  names: z.array(z.string()).default([]),
});

/** Tokens that admit somebody now: static ones first, then by expiry. */
export const listTokens = operation({
  name: 'token.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'token',
  verb: 'list',
  input: z.object({}),
  output: z.object({ tokens: z.array(tokenSummary) }),
  sift: ({ tokens }, sees) => ({
    tokens: tokens.filter(({ tokenId }) => sees({ kind: 'token', name: tokenId })),
  }),
});

export const deleteToken = operation({
  name: 'token.delete',
  who: ['Admin', 'operator'],
  resource: 'token',
  verb: 'delete',
  /** Its id, or the token itself. */
  input: z.object({ token: z.string().max(1024) }),
  output: done,
});
