import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { writerReads } from './writer-reads.ts';

export const restoreFact = z.discriminatedUnion('type', [
  /** `digest`: `sha256:…` of the file. Until it is finished there is no cluster, whatever else is there. */
  z.object({ type: z.literal('restore.begun'), data: z.object({ digest: z.string().min(1) }) }),
  /** In the append that creates the cluster. `counts`: how many resources of each kind. */
  z.object({
    type: z.literal('restore.finished'),
    data: z.object({
      digest: z.string().min(1),
      counts: z.record(z.string(), z.number().int().nonnegative()),
    }),
  }),
]);
export type RestoreFact = z.infer<typeof restoreFact>;

export type RestoreCommand =
  | { readonly type: 'begin-restore'; readonly digest: string }
  | {
      readonly type: 'finish-restore';
      readonly digest: string;
      readonly counts: Readonly<Record<string, number>>;
    }
  /** A cluster is about to be created without a file. */
  | { readonly type: 'require-none' };

export type RestoreState =
  | { readonly status: 'none' }
  | { readonly status: 'begun'; readonly digest: string }
  | { readonly status: 'finished'; readonly digest: string };

/**
 * The contents of an empty store from a file of resources (`teleport start --bootstrap`). A file may be
 * larger than one append takes: the last append creates the cluster, and only the same file continues what
 * was begun (docs/rfd/0039).
 */
export const restore: Decider<RestoreState, RestoreCommand, RestoreFact> = {
  fact: writerReads(restoreFact),
  initial: { status: 'none' },

  decide(state, command) {
    switch (command.type) {
      case 'begin-restore':
        requireSame(state, command.digest);
        return state.status === 'begun' ? [] : [{ type: 'restore.begun', data: { digest: command.digest } }];
      case 'finish-restore': {
        requireSame(state, command.digest);
        if (state.status !== 'begun') throw new CodedError('misconfigured', 'no restore has begun');
        const { digest, counts } = command;
        return [{ type: 'restore.finished', data: { digest, counts: { ...counts } } }];
      }
      case 'require-none':
        if (state.status === 'begun') throw unfinished(state.digest);
        return [];
      default:
        return unreachable(command);
    }
  },

  evolve(_state, { type, data: { digest } }) {
    return { status: type === 'restore.begun' ? 'begun' : 'finished', digest };
  },
};

function requireSame(state: RestoreState, digest: string): void {
  if (state.status === 'begun' && state.digest !== digest) throw unfinished(state.digest);
  if (state.status === 'finished')
    throw new CodedError('misconfigured', 'the store was restored from a file already');
}

const unfinished = (digest: string): CodedError =>
  new CodedError(
    'misconfigured',
    `the store is being restored from a file (${digest}), and that has not ended: start with --bootstrap and the same file, ` +
      'or empty the store',
  );
