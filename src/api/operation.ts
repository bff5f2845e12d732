import type { z } from 'zod';
import type { Instant } from '../base/time.ts';
import type { SystemRole } from '../domain/host-info.ts';
import type { Traits } from '../domain/role-spec.ts';
import type { ResourceKind, RuleVerb } from '../domain/rule-subjects.ts';
import type { RuleResource } from '../domain/where/evaluate-where.ts';

/**
 * Who may call. `anyone` is a caller without a certificate. `user` is a person's certificate of this cluster
 * whose user still exists and is not locked. `operator` is such a person who shows an identity that was
 * signed to administer the cluster. `foreign` is somebody of a cluster that this one trusts. The machine
 * roles are those of the host certificate.
 */
export type Who = 'anyone' | 'user' | 'operator' | 'foreign' | SystemRole;

/** One row of the contract: the server's guard and parser and the client's types all come from it. */
export interface Operation<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  /** `subject.verb`; the path is `POST /v3/<name>`. */
  readonly name: string;
  readonly who: readonly Who[];
  /**
   * What a rule of a role names to open this to a person. The rules of people are asked where `who` has
   * `operator`. Several: the input says which, and `about` reads it.
   */
  readonly resource: ResourceKind | readonly ResourceKind[];
  readonly verb: RuleVerb;
  readonly input: I;
  readonly output: O;
  /**
   * The resources that the input is about, for the conditions of rules: each must be allowed. Left out: any
   * of that kind.
   */
  about?(input: z.output<I>): RuleResource | readonly RuleResource[];
  /**
   * Of a list, what a person sees whose rules have conditions: all of it that `sees` returns true for. Left
   * out: a rule with a condition about the resource opens nothing.
   */
  sift?(output: z.output<O>, sees: (resource: RuleResource) => boolean): z.output<O>;
  /**
   * The use case asks `may` about each resource once it has all of it, labels too. Until then a person is let
   * in where a rule may allow it.
   */
  readonly asksWhole?: true;
  /**
   * Doing it twice is the same as doing it once, so a client that lost the response sends it again by itself.
   */
  readonly repeatable?: true;
  /**
   * The server can reply from what it knows, even while it does not hear from its store. Default: then it
   * refuses.
   */
  readonly withoutStore?: true;
  /**
   * Nobody waits for it interactively, and many call it: each server is asked once, and the caller tries
   * again later.
   */
  readonly untended?: true;
  /** Called as often as recorded sessions print: counted apart from the other calls of a machine. */
  readonly ofRecordings?: true;
}

export const operation = <I extends z.ZodType, O extends z.ZodType>(row: Operation<I, O>): Operation<I, O> =>
  row;

export type InputOf<Op extends Operation> = z.input<Op['input']>;
export type OutputOf<Op extends Operation> = z.output<Op['output']>;

/** From the certificate with which a person calls. */
export interface ShownCertificate {
  /** Decimal. */
  readonly serial: string;
  readonly lifeId: string;
  readonly routeToCluster: string;
  readonly validUntil: Instant;
  /** PEM of the authority that signed it. */
  readonly authorityPem: string;
  /** When its holder gave the password; undefined where it is not recorded. */
  readonly loggedInAt: Instant | undefined;
  /** Ids of access requests. Whether they count is on the log. */
  readonly accessRequests: readonly string[];
}

/** Where a call comes from, as the transport proved it. */
export type Caller =
  | { readonly kind: 'anyone'; readonly address: string }
  | {
      readonly kind: 'user';
      readonly username: string;
      readonly roles: readonly string[];
      readonly address: string;
      /** Whether it presents an identity that was signed to administer the cluster. Default: no. */
      readonly administers?: boolean;
      /** Further contents of its certificate. Undefined: not read. */
      readonly certificate?: ShownCertificate;
    }
  | {
      readonly kind: 'foreign';
      /** As `foreignUsername`. */
      readonly username: string;
      /** Those that the role map gives, not looked up yet. */
      readonly roles: readonly string[];
      readonly traits: Traits;
      readonly address: string;
    }
  | {
      readonly kind: 'host';
      readonly hostId: string;
      readonly role: SystemRole;
      readonly address: string;
      /** Names and addresses in its certificate. Undefined: not read. */
      readonly certifiedNames?: readonly string[];
      /** Fingerprint of the key in its certificate. Undefined: not read. */
      readonly key?: string;
      /** Of its TLS certificate, and of its SSH twin. Undefined: not read. */
      readonly serial?: bigint;
    };
