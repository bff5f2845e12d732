import type { Labels } from './label-selector.ts';
import type { LockNotice } from './lock.ts';
import type { Traits } from './role-spec.ts';
import type { SubjectAccess } from './subject-access.ts';

/** What is known of a person. Where roles are missing nothing is allowed: one of them might have denied. */
export interface Person {
  readonly username: string;
  readonly status: 'known' | 'missing' | 'unreadable';
  readonly traits: Traits;
  /** Of the roles that are there. */
  readonly access: SubjectAccess;
  readonly missing: readonly string[];
  /** Those that exist, but that a newer release wrote. */
  readonly unreadable: readonly string[];
}

export interface LockInForce extends LockNotice {
  readonly id: string;
}

export interface Question {
  readonly person: Person;
  readonly login: string;
  readonly labels: Labels;
  /** Those that are about the person, the person's roles, the login or the server. */
  readonly locks: readonly LockInForce[];
}

export const reasonKinds = [
  'user_missing',
  'user_unreadable',
  'role_missing',
  'role_unreadable',
  'locked',
  'denied_labels',
  'denied_login',
  'allowed',
  'not_allowed',
  'only_login',
  'only_labels',
] as const;

/** One fact of an explanation. */
export interface Reason {
  readonly kind: (typeof reasonKinds)[number];
  readonly role?: string;
  /** The part of the role, as its file calls it: `deny.logins[1]`. */
  readonly place?: string;
  readonly text: string;
}
