import { z } from 'zod';
import { unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import type { WithSecrets } from './secrets.ts';
import { writerReads } from './writer-reads.ts';

/**
 * Where sessions are recorded. `node`: by nodes, on their disk first; `node-sync`: by nodes, straight to
 * auth. What a later release calls otherwise is recorded as by `node`: more is recorded then, never less.
 */
export const recordingModes = ['node', 'node-sync', 'off'] as const;
export type RecordingMode = (typeof recordingModes)[number];
/** By this name auth servers declare it to the cluster. */
export const recordingKey = 'auth_service.session_recording';

export const recordingModeOf = (text: string): RecordingMode =>
  recordingModes.find((mode) => mode === text) ?? 'node';

export const recordingFact = z.discriminatedUnion('type', [
  /** Keys of sessions are sealed for it. The private half is the secret `privateKey`: PKCS #8, DER. */
  z.object({
    type: z.literal('recording.key_made'),
    /** Raw X25519 key, in base64. */
    data: z.object({ keyId: z.string().min(1), publicKey: z.string() }),
  }),
  z.object({ type: z.literal('recording.configured'), data: z.object({ mode: z.string() }) }),
]);
export type RecordingFact = z.infer<typeof recordingFact>;

export interface ConfigureRecording {
  readonly type: 'configure-recording';
  readonly mode: RecordingMode;
  /** Used only where there is none yet. */
  readonly newKey: { readonly keyId: string; readonly publicKey: string; readonly privateKey: Uint8Array };
}

export interface RecordingState {
  /** Undefined: no auth server made one yet. */
  readonly key?: { readonly keyId: string; readonly publicKey: string };
  /** Undefined: no auth server knows of recording yet. */
  readonly mode?: string;
}

export const recording: Decider<RecordingState, ConfigureRecording, WithSecrets<RecordingFact>> = {
  fact: writerReads(recordingFact),
  initial: {},

  decide(state, { mode, newKey: { privateKey, ...key } }) {
    return [
      ...(state.key === undefined
        ? [{ type: 'recording.key_made', data: key, secrets: { privateKey } } as const]
        : []),
      ...(state.mode === mode ? [] : [{ type: 'recording.configured', data: { mode } } as const]),
    ];
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'recording.key_made': {
        const { keyId, publicKey } = fact.data;
        return { ...state, key: { keyId, publicKey } };
      }
      case 'recording.configured':
        return { ...state, mode: fact.data.mode };
      default:
        return unreachable(fact);
    }
  },
};
