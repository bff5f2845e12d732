import type { z } from 'zod';
import type { SystemRole } from '../domain/host-info.ts';

/**
 * Who may call. `anyone` is a caller without a certificate. `user` is a person's certificate of this cluster whose user
 * still exists and is not locked. The machine roles are those of the host certificate.
 */
export type Who = 'anyone' | 'user' | SystemRole;

/** One row of the contract: the server's guard and parser and the client's types all come from it. */
export interface Operation<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  /** `subject.verb`; the path is `POST /v3/<name>`. */
  readonly name: string;
  readonly who: readonly Who[];
  readonly input: I;
  readonly output: O;
  /** Doing it twice is as good as once, so a client whose answer was lost asks again by itself. */
  readonly repeatable?: true;
}

export const operation = <I extends z.ZodType, O extends z.ZodType>(row: Operation<I, O>): Operation<I, O> =>
  row;

export type InputOf<Op extends Operation> = z.input<Op['input']>;
export type OutputOf<Op extends Operation> = z.output<Op['output']>;

/** Who a call comes from, as the transport proved it. */
export type Caller =
  | { readonly kind: 'anyone'; readonly address: string }
  | {
      readonly kind: 'user';
      readonly username: string;
      readonly roles: readonly string[];
      readonly address: string;
    }
  | {
      readonly kind: 'host';
      readonly hostId: string;
      readonly role: SystemRole;
      readonly address: string;
      /** Names and addresses that its certificate was made for. Undefined: nobody has looked. */
      readonly certifiedNames?: readonly string[];
    };
