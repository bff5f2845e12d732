import { recording, recordingFact, type RecordingState } from '../domain/recording.ts';
import { recordingStream } from '../domain/streams.ts';
import { type Unreadable, withUnread } from './entities.ts';
import { readFact, typesOf, type UnreadableFact } from './read-fact.ts';
import type { Projection } from './view.ts';

/** With the facts that this release cannot read; the rest stays as it was. */
export type FoldedRecording = RecordingState & {
  readonly unreadable?: readonly UnreadableFact[];
};

const types = typesOf(recordingFact);

/** How sessions are recorded, and for which key. */
export const recordingView: Projection<FoldedRecording> = {
  name: 'recording.1',
  initial: recording.initial,
  apply(state, event) {
    if (event.stream !== recordingStream) return state;
    const reading = readFact(recordingFact, types, event);
    if (reading.status === 'ignored') return state;
    if (reading.status === 'unreadable')
      return { ...state, unreadable: withUnread(state.unreadable ?? [], reading.unread) };
    return { ...state, ...recording.evolve(state, reading.fact) };
  },
  encode: (state) => state,
  decode: (stored) => stored as FoldedRecording,
};

export const unreadableRecording = ({ unreadable = [] }: FoldedRecording): readonly Unreadable[] =>
  unreadable.map((fact) => ({ kind: 'recording', name: '', ...fact }));
