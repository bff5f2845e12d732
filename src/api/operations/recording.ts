import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { isSessionId } from '../../recording/chunk.ts';
import { operation } from '../operation.ts';

const sessionId = z.string().refine(isSessionId, 'the id of a session');
const natural = z.number().int().nonnegative();

/** Of chunks sent in one call, before base64: one may be larger. */
export const uploadBytes = 768 * 1024;

/** How much of a recording auth has. */
const stored = {
  /** The number of the next chunk: all before it are stored, in one chain. */
  next: natural,
  /** Of the last of them, in hex; zeros of none. */
  head: z.string(),
  /** The last chunk of the session is stored. */
  isOver: z.boolean(),
};

/**
 * Stores chunks of a session that the caller records. Chunks that are stored already are passed over; what
 * does not continue what is stored is not taken: the answer says with which to go on. With no chunks it only
 * asks that.
 * @throws CodedError `access_denied` for a session that another machine records; `not_found` for one whose
 *   key was destroyed; `damaged` for bytes that are no chunks of this session; `unavailable`, `no_space`.
 */
export const uploadRecording = operation({
  name: 'recording.upload',
  repeatable: true,
  untended: true,
  ofRecordings: true,
  who: ['Node', 'Proxy'],
  resource: 'session',
  verb: 'create',
  input: z.object({
    sid: sessionId,
    user: z.string().min(1).max(300),
    /** The key of the session, sealed for the cluster (`pki/sealed-box.ts`), in base64. */
    sealedKey: z.string().max(1_024),
    /** Number of the first of `chunks`. */
    first: natural,
    /** Whole chunks, one behind the other, in base64. */
    chunks: z.string().max(1_900_000),
  }),
  /** `place` is the address of the recording, for the audit. */
  output: z.object({ ...stored, place: z.string() }),
});

/**
 * What is needed to play a session: its key, and how much there is now.
 * @throws CodedError `not_found` for one that was not recorded, whose recording was erased, or that the
 *   caller may not see.
 */
export const openRecording = operation({
  name: 'recording.open',
  repeatable: true,
  who: ['Admin', 'operator', 'user'],
  resource: 'session',
  verb: 'read',
  asksWhole: true,
  input: z.object({ sid: sessionId }),
  output: z.object({
    /** Of the session, 32 bytes in base64. */
    key: z.string(),
    ...stored,
  }),
});

/** Chunks from `first` on, about a megabyte of them; none when there are none (yet). @throws as `open`. */
export const readRecording = operation({
  name: 'recording.read',
  repeatable: true,
  who: ['Admin', 'operator', 'user'],
  resource: 'session',
  verb: 'read',
  asksWhole: true,
  input: z.object({ sid: sessionId, first: natural }),
  /** In base64, one behind the other. Begins with `first`. */
  output: z.object({ chunks: z.string() }),
});

/**
 * Destroys the key of a recording, for good: nobody can play it any more, and what is stored still proves
 * what it was.
 * @throws CodedError `not_found` when there is none.
 */
export const eraseRecording = operation({
  name: 'recording.erase',
  who: ['Admin', 'operator'],
  resource: 'session',
  verb: 'delete',
  input: z.object({ sid: sessionId, reason: z.string().max(1_000).default('') }),
  output: z.object({ status: z.literal('erased') }),
});

/** A recorded session, as the audit and the store of recordings have it. */
const listedRecording = z.object({
  sid: z.string(),
  /** Whose session. */
  user: z.string(),
  login: z.string(),
  hostId: z.string(),
  hostname: z.string(),
  startedAt: instant,
  /** Absent while it goes on, or nobody has told its end. */
  endedAt: instant.optional(),
  participants: z.array(z.string()),
  /** `stored`: whole. `ended`: some of it may still be on its way. `erased`: nobody can play it. */
  status: z.enum(['live', 'ended', 'stored', 'erased']),
  /** How it was recorded, as `session.end` has it. */
  mode: z.string().optional(),
  /** Output in it, and output that was shown and is not. */
  bytes: natural.optional(),
  lostBytes: natural.optional(),
  chunks: natural.optional(),
  /** Of the last chunk, in hex. */
  head: z.string().optional(),
});
export type ListedRecording = z.infer<typeof listedRecording>;

/**
 * Recorded sessions that the caller may see, of those that began or ended in a time: in the order in which
 * they began.
 * @throws CodedError `bad_request` when `to` is not after `from`.
 */
export const listRecordings = operation({
  name: 'recording.list',
  repeatable: true,
  who: ['Admin', 'operator', 'user'],
  resource: 'session',
  verb: 'list',
  input: z.object({
    from: instant,
    to: instant,
    user: z.string().default(''),
    /** Id or name of a machine; empty: all. */
    node: z.string().default(''),
    /** The newest are kept when there are more. */
    limit: z.number().int().positive().max(5_000).default(500),
  }),
  /** `truncated` when there may be more. */
  output: z.object({ recordings: z.array(listedRecording), truncated: z.boolean() }),
});
