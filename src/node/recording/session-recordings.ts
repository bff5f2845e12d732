import { Transform, type TransformCallback } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import type { World } from '../../base/world.ts';
import type { AccessOptions } from '../../domain/role-options.ts';
import { recordingModeOf, type RecordingState } from '../../domain/recording.ts';
import { sealBox } from '../../pki/sealed-box.ts';
import type { Participant, SessionAbout } from '../../recording/frame.ts';
import { Recorder, type RecordingEnd } from '../../recording/recorder.ts';
import type { WindowSize } from '../../ssh/channel-types.ts';
import type { ChunkSink } from '../../recording/chunk-sink.ts';
import type { Preamble } from '../../recording/recording-file.ts';
import { remoteSink } from './remote-sink.ts';
import type { RecordingUploads } from './recording-uploads.ts';
import type { OrphanDetails } from './orphan-details.ts';

/** A session with a terminal that is about to begin. */
export interface RecordedSession {
  readonly about: SessionAbout;
  /** For the end of the session, where this process does not live to tell it. */
  readonly details: OrphanDetails;
  readonly policy: AccessOptions['recordSession'];
  /** By roles, now. */
  readonly mayEnterOnFullDisk: () => boolean;
}

/** What the end of a session tells of its recording. */
export interface Recorded extends RecordingEnd {
  readonly mode: string;
}

/** One that is being recorded. */
export interface SessionRecording {
  /** Passes output on as it is recorded. To be used once. */
  tap(): Transform;
  resized(size: WindowSize): void;
  /** Somebody came or went. */
  took(what: 'joined' | 'left', who: Participant): void;
  /** Resolves with the reason when the session must end. */
  readonly failed: Promise<string>;
  /** Never rejects. */
  end(exit: string): Promise<Recorded>;
  /** The audit has the end of the session. */
  told(): void;
}

export interface SessionRecordings {
  /**
   * Undefined: this session is not recorded. @throws CodedError `unavailable` when it cannot be, and must not
   * begin without.
   */
  begin(session: RecordedSession): Promise<SessionRecording | undefined>;
}

/** For nodes that record nothing, as in tests. */
export const noRecordings: SessionRecordings = { begin: () => Promise.resolve(undefined) };

export interface SessionRecordingsOptions {
  /** As folded here. */
  readonly state: () => RecordingState;
  readonly uploads: RecordingUploads;
  readonly world: World;
}

export const sessionRecordings = ({
  state,
  uploads,
  world,
}: SessionRecordingsOptions): SessionRecordings => ({
  begin: async (session) => {
    const { mode, key } = state();
    if (mode === undefined || mode === 'off') return undefined;
    if (key === undefined)
      throw new CodedError('unavailable', 'there is no key on the log for which it could be sealed');
    const sessionKey = world.randomBytes(32);
    const { sid } = session.about;
    const sealedKey = sealBox(Buffer.from(key.publicKey, 'base64'), sessionKey, `recording ${sid}`);
    const sealed = sealedKey.toString('base64');
    const { about, details } = session;
    const preamble = { about, details, sealedKey: sealed };
    const where =
      recordingModeOf(mode) === 'node-sync' ? await toAuth(uploads, preamble) : onDisk(uploads, preamble);
    const recorder = new Recorder({
      about,
      key: sessionKey,
      sink: where.sink,
      world,
      goesOn: (e) => goesOn(session, e),
    });
    try {
      await recorder.begin();
    } catch (e) {
      await recorder.end('');
      where.abandoned();
      throw e;
    }
    return recordingOf(recorder, mode, where);
  },
});

type Beginning = Preamble & { readonly details: OrphanDetails; readonly sealedKey: string };

/** Where a recording goes, and what has to be done when it is over. */
interface Where {
  readonly sink: ChunkSink;
  ended(end: RecordingEnd): void;
  told(end: RecordingEnd): void;
  abandoned(): void;
}

const onDisk = (uploads: RecordingUploads, preamble: Beginning): Where => uploads.begin(preamble);

async function toAuth(uploads: RecordingUploads, preamble: Beginning): Promise<Where> {
  const { about, sealedKey } = preamble;
  const { sid, user } = about;
  const sink = remoteSink({ upload: uploads.upload, sid, user, sealedKey });
  const begun = await uploads.beginRemote(preamble);
  return {
    sink,
    ended: () => undefined,
    told: ({ chunks, head }) => {
      const { place } = sink;
      begun.told(place === undefined ? undefined : { sid, user, place, chunks, head });
    },
    abandoned: () => {
      begun.told(undefined);
    },
  };
}

function goesOn({ policy, mayEnterOnFullDisk }: RecordedSession, e: CodedError): boolean {
  if (policy !== 'usual') return policy === 'best_effort';
  return isCoded(e, 'no_space') && mayEnterOnFullDisk();
}

function recordingOf(recorder: Recorder, mode: string, where: Where): SessionRecording {
  let end: RecordingEnd | undefined;
  return {
    failed: recorder.failed,
    tap: () => new Tap(recorder),
    took: (type, who) => {
      recorder.add({ type, who });
    },
    resized: ({ columns, rows }) => {
      recorder.add({ type: 'resize', columns, rows });
    },
    end: async (exit) => {
      end = await recorder.end(exit);
      where.ended(end);
      return { ...end, mode };
    },
    told: () => {
      if (end !== undefined) where.told(end);
    },
  };
}

class Tap extends Transform {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    super();
    this.#recorder = recorder;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#recorder.add({ type: 'output', bytes: chunk });
    const room = this.#recorder.room();
    if (room === undefined) done(null, chunk);
    else
      room.then(
        () => {
          done(null, chunk);
        },
        (e: unknown) => {
          done(e instanceof Error ? e : new Error(messageOf(e)));
        },
      );
  }
}
